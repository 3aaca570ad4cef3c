import csv
import io
import unittest

from shop.export import to_csv


def cell(value):
    return next(csv.reader(io.StringIO(to_csv([[value]]), newline="")))[0]


class HiddenTest(unittest.TestCase):
    def test_formulas_are_text(self):
        for text in ("=1+1", "+1", "-1", "@x", "\tx", '=HYPERLINK("http://example.com")'):
            self.assertEqual(cell(text), "'" + text)
        self.assertEqual(to_csv([["\rx"]]).strip('"\n'), "'\rx")

    def test_numbers_and_other_text_stay(self):
        self.assertEqual([cell(value) for value in (-5, -0.5, 3, "a=b", "", "x-y")], ["-5", "-0.5", "3", "a=b", "", "x-y"])

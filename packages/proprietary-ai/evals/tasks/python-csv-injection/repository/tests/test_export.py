import unittest

from shop.export import to_csv


class ExportTest(unittest.TestCase):
    def test_commas_are_quoted(self):
        self.assertEqual(to_csv([["a,b", 1]]), '"a,b",1\n')

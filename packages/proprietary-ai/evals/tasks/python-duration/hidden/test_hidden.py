import unittest

from duration import format_duration


class HiddenTest(unittest.TestCase):
    def test_days(self):
        self.assertEqual(format_duration(90000), "1d 1:00:00")
        self.assertEqual(format_duration(86400 * 12 + 59), "12d 0:00:59")

    def test_negative(self):
        self.assertEqual(format_duration(-61), "-0:01:01")
        self.assertEqual(format_duration(-90000), "-1d 1:00:00")

    def test_below_a_day(self):
        self.assertEqual([format_duration(s) for s in (0, 59, 86399)], ["0:00:00", "0:00:59", "23:59:59"])

import unittest

from duration import format_duration


class DurationTest(unittest.TestCase):
    def test_an_hour_and_a_bit(self):
        self.assertEqual(format_duration(3661), "1:01:01")

import unittest

from settings import load


class SettingsTest(unittest.TestCase):
    def test_a_local_value_wins(self):
        self.assertEqual(load({"a": 1, "b": 2}, {"b": 3}), {"a": 1, "b": 3})

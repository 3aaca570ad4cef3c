import copy
import unittest

from settings import load


class HiddenTest(unittest.TestCase):
    def test_sections_are_merged_at_every_level(self):
        defaults = {"db": {"host": "a", "port": 1, "pool": {"min": 1, "max": 5}}, "tags": ["x"]}
        local = {"db": {"host": "b", "pool": {"max": 9}}, "tags": ["y"], "new": {"a": {"b": 1}}}
        kept = copy.deepcopy((defaults, local))
        self.assertEqual(
            load(defaults, local),
            {"db": {"host": "b", "port": 1, "pool": {"min": 1, "max": 9}}, "tags": ["y"], "new": {"a": {"b": 1}}},
        )
        self.assertEqual((defaults, local), kept)

    def test_none_removes(self):
        self.assertEqual(load({"a": 1, "s": {"b": 2, "c": 3}}, {"a": None, "s": {"b": None}}), {"s": {"c": 3}})

    def test_the_result_shares_nothing(self):
        defaults = {"s": {"a": [1]}}
        load(defaults, {})["s"]["a"].append(2)
        self.assertEqual(defaults, {"s": {"a": [1]}})

import unittest

from cache import Cache


class CacheTest(unittest.TestCase):
    def test_it_keeps_no_more_than_its_size(self):
        cache = Cache(2)
        for key in "abc":
            cache.put(key, key)
        self.assertEqual([cache.get(key) for key in "abc"], [None, "b", "c"])

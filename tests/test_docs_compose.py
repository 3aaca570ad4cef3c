"""The lines of the documents that want a Docker Engine are typed at one, by `make test-compose`."""

from docs_reader import block, done_by_tests, runnable
from shown_commands import blocks


def test_every_line_for_an_engine_is_typed_at_one():
    typed = {block(page, begins) for page, begins in done_by_tests("test_compose_up.py")}
    left = [each for each in blocks() if runnable(each) != runnable(each, engine=True) and each not in typed]
    assert left == [], "have tests/test_compose_up.py type them"

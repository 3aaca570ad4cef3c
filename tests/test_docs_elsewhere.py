"""Lines for a Docker Engine, a whole machine or Terraform are typed there, by a test of that place."""

import pytest

from docs_never_run import ELSEWHERE
from docs_reader import block, done_by_tests, runnable
from shown_commands import blocks

TYPED = {"engine": "test_compose_up.py", "host": "test_host_up.py", "terraform": "test_terraform.py"}


@pytest.mark.parametrize("place", ELSEWHERE)
def test_every_line_for_a_place_is_typed_there(place: str):
    typed = {block(page, begins) for page, begins in done_by_tests(TYPED[place])}
    left = [each for each in blocks() if runnable(each) != runnable(each, place) and each not in typed]
    assert left == [], f"have tests/{TYPED[place]} type them"

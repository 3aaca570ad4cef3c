"""An issue's text as it comes in."""

import pytest

from aicd_core.errors import InvalidInputError
from aicd_core.orchestrator import IssueText


def test_one_too_large_is_refused_without_a_size_that_nobody_measured():
    with pytest.raises(InvalidInputError, match="Standard input has more than the 1,000 bytes") as caught:
        IssueText.parse(b"x" * 1001, max_bytes=1000, name="Standard input")
    assert caught.value.code == "issue_too_large"

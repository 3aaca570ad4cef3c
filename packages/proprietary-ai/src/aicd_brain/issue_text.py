"""The issue as a model may see it: without what a person reading it on a screen would not see. Pure."""

import re

from aicd_core.contracts import Task
from aicd_core.text import INVISIBLE

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HIDDEN = re.compile(f"[{INVISIBLE}]")


def visible(text: str) -> str:
    """The text without HTML comments, zero-width, bidirectional and tag characters."""
    return _HIDDEN.sub("", _COMMENT.sub("", text))


def issue_of(task: Task) -> str:
    """Title and body of the issue, as far as they are visible."""
    return f"{visible(task.title)}\n\n{visible(task.body)}"

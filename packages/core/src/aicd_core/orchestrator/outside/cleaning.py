"""Feedback as an agent may see it: freed of what a page does not show, and no more of it than is of use. Pure."""

from collections import Counter
from typing import Any, TypeVar

from aicd_core.contracts import FailedCheck, HostReview, Thread, ThreadComment
from aicd_core.hygiene import HiddenKind, clean
from aicd_core.hygiene.characters import without_hidden
from aicd_core.orchestrator.outside.judging import Judged
from aicd_core.text import one_line

TEXT_MOST = 16_000
"""Characters of one comment or review."""
LOG_MOST = 16_000
"""Characters of a check's log, from its end."""
NAME_MOST = 200
COMMENTS_MOST = 50
"""Of a thread, the last ones."""

SaidT = TypeVar("SaidT", ThreadComment, HostReview)


def cleaned(judged: Judged) -> dict[str, Any]:
    """The parts of `OutsideFeedback` that hold text from outside."""
    return {
        "reviews": tuple(map(_of_markdown, judged.reviews)),
        "threads": tuple(map(_thread, judged.threads)),
        "comments": tuple(map(_of_markdown, judged.comments)),
        "failed_checks": tuple(map(_check, judged.failed_checks)),
        "unheard": judged.unheard,
    }


def _thread(thread: Thread) -> Thread:
    comments = tuple(map(_of_markdown, thread.comments[-COMMENTS_MOST:]))
    return thread.model_copy(update={"comments": comments, "path": one_line(thread.path, 1000)})


def _of_markdown(said: SaidT) -> SaidT:
    return said.model_copy(update={"body": clean(said.body[:TEXT_MOST]).text})


def _check(check: FailedCheck) -> FailedCheck:
    words = {"name": one_line(check.name, NAME_MOST), "summary": clean(check.summary[:TEXT_MOST]).text}
    return check.model_copy(update={**words, "log": plain_log(check.log)})


def plain_log(text: str) -> str:
    """The end of a log without terminal sequences and characters that do not show."""
    removed: Counter[HiddenKind] = Counter()
    return without_hidden(text[-LOG_MOST:], removed)

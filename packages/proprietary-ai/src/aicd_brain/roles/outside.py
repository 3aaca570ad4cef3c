"""Feedback on a pull request, as coder and critic are shown it: fenced, for strangers' words are in it. Pure."""

import json

from aicd_brain.catalogue import Prompt, load_prompt
from aicd_brain.fence import fence
from aicd_brain.roles.delta import without_binaries
from aicd_brain.tools.truncation import head_and_tail
from aicd_core.contracts import FailedCheck, HostReview, OutsideFeedback, Thread

INHERITED_SHOWN = 60_000
LOGS_SHOWN = 40_000
SAID_SHOWN = 60_000
"""Characters of all that is said in one place."""


def outside_for_coder(outside: OutsideFeedback) -> tuple[Prompt, str]:
    """What the coder of a round on feedback is told."""
    prompt = load_prompt("coder_outside")
    return prompt, prompt.render(
        round=outside.round,
        reviews=fence("reviews", _cut([_review(review) for review in outside.reviews], SAID_SHOWN)),
        threads=fence("threads", _cut([_thread(thread) for thread in outside.threads], SAID_SHOWN)),
        comments=fence("comments", _cut([f"{said.author}: {said.body}" for said in outside.comments], SAID_SHOWN)),
        checks=fence("checks", _cut([_check(check) for check in outside.failed_checks], LOGS_SHOWN)),
        merge=fence("merge", _merge(outside)),
    )


def outside_for_critic(outside: OutsideFeedback, inherited: bytes) -> tuple[Prompt, str]:
    """What the critic of such a round is told besides."""
    said = [
        *(_review(review) for review in outside.reviews),
        *(_thread(thread) for thread in outside.threads),
        *(f"{comment.author}: {comment.body}" for comment in outside.comments),
        *(_check(check) for check in outside.failed_checks),
        _merge(outside),
    ]
    before = without_binaries(inherited.decode("utf-8", "replace"))
    prompt = load_prompt("critic_outside")
    return prompt, prompt.render(
        feedback=fence("feedback", _cut(said, SAID_SHOWN)),
        inherited=fence("inherited", head_and_tail(before, INHERITED_SHOWN) or "(nothing)"),
    )


def _cut(parts: list[str], most: int) -> str:
    return head_and_tail("\n\n".join(parts), most) or "(none)"


def _review(review: HostReview) -> str:
    return f"{review.author} ({review.verdict}): {review.body or '(no words)'}"


def _thread(thread: Thread) -> str:
    said = [{"author": comment.author, "text": comment.body} for comment in thread.comments]
    where = {"thread": thread.id, "path": thread.path, "from_line": thread.start_line, "line": thread.line}
    return json.dumps({**where, "comments": said}, indent=1, ensure_ascii=False)


def _check(check: FailedCheck) -> str:
    return f"{check.name}: {check.summary}\n{check.log}"


def _merge(outside: OutsideFeedback) -> str:
    if outside.merged_sha is None:
        return "It merges, or nothing is known of it."
    return (
        f"It moved to {outside.merged_sha} and does not merge by itself: the tree holds the merge, with its conflicts."
    )

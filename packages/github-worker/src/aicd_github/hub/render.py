"""The words that GitHub is given around the Body's own. Pure."""

from collections.abc import Sequence
from typing import Any

from aicd_core.contracts.code_host import Annotation, PullRequestDraft
from aicd_core.ids import JobId

STATUS_MARK = "<!-- aicd:status -->"
LABEL = "aicd"
"""On every pull request, set last: one that has it is whole."""
DECIDE_LABEL = "aicd: needs decision"
CHECK = "AI-CD"
MOST_ANNOTATIONS = 50
"""In one call: https://docs.github.com/en/rest/checks/runs"""
_LONGEST = 65_000
"""Characters of a body; GitHub takes 65,536."""
_CUT = "\n\n*(cut: it is longer than GitHub takes; `aicd show` has all of it)*\n"


def pull_body(draft: PullRequestDraft, evidence_url: str | None) -> str:
    """A pull request's body: the Body's words, then what GitHub itself makes something of."""
    tail = []
    if draft.issue is not None:
        tail.append(f"Closes #{draft.issue}")
        tail.append("To steer this job, comment `/aicd help` on the issue, or review the changes here.")
    if evidence_url is not None:
        tail.append(f"[Signed evidence]({evidence_url})")
    end = "".join(f"\n{line}\n" for line in tail)
    return cut(draft.body, _LONGEST - len(end)) + end


def status_body(text: str) -> str:
    """The living comment: its mark, which no page shows, and what it says."""
    return cut(f"{STATUS_MARK}\n{text}", _LONGEST)


def answer_mark(job_id: JobId, thread: int, last: int) -> str:
    """What an answer to a thread's last comment is found again by."""
    return f"<!-- aicd:answer:{job_id}:{thread}:{last} -->"


def cut(text: str, most: int) -> str:
    """The text, or its beginning and a word that there was more."""
    return text if len(text) <= most else text[: most - len(_CUT)] + _CUT


def check_body(job_id: JobId, head_sha: str, draft: PullRequestDraft) -> dict[str, Any]:
    """The check run of a commit, whole, with as many annotations as one call takes."""
    return {
        "name": CHECK,
        "head_sha": head_sha,
        "external_id": str(job_id),
        "status": "completed",
        "conclusion": "action_required" if draft.draft else "success",
        "output": check_output(draft, draft.annotations[:MOST_ANNOTATIONS]),
    }


def check_output(draft: PullRequestDraft, annotations: Sequence[Annotation]) -> dict[str, Any]:
    """A check run's words, and the annotations that one call adds to those that it has."""
    return {
        "title": cut(draft.verdict or draft.title, 250),
        "summary": cut(draft.body, _LONGEST),
        "annotations": [_annotation(annotation) for annotation in annotations],
    }


def _annotation(annotation: Annotation) -> dict[str, Any]:
    return {
        "path": annotation.path,
        "start_line": annotation.line,
        "end_line": annotation.line,
        "annotation_level": annotation.level,
        "title": annotation.title[:255],
        "message": annotation.message[:_LONGEST],
    }

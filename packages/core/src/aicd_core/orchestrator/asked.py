"""What a job asks for, as an agent may see it: the stored issue stays as it came, the cleaning happens here."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from aicd_core.contracts import Task
from aicd_core.hygiene import HiddenKind, clean, clean_line, told
from aicd_core.jobs.values import JobView
from aicd_core.patches import extract_patches

COMMENT_MAX = 64 * 1024
"""Characters of one person's comment that an agent sees."""


@dataclass(frozen=True)
class Asked:
    """A job's task, and what was taken out of the issue before, by kind."""

    task: Task
    removed: Mapping[HiddenKind, int]


async def asked_of(job: JobView, test_commands: tuple[str, ...]) -> Asked:
    """The task of a job; always the same for the same job. In a thread, since an issue may have megabytes."""
    return await asyncio.to_thread(_asked_of, job, test_commands)


def hidden_note(removed: Mapping[HiddenKind, int]) -> str | None:
    """One sentence for people about what an issue hid; None when it hid nothing."""
    if not any(removed.values()):
        return None
    return (
        f"The issue holds what its page does not show: {told(removed)}. The agent saw the issue without that, and "
        "hidden characters in code by their names. Look at the issue's source."
    )


async def clean_comment(text: str) -> str:
    """What a person said, as an agent may see it."""
    return (await asyncio.to_thread(clean, text[:COMMENT_MAX])).text


def _asked_of(job: JobView, test_commands: tuple[str, ...]) -> Asked:
    title, body = clean_line(job.title), clean(job.body)
    exact = extract_patches(job.body) if body.text != job.body else None
    same = exact is None or exact == extract_patches(body.text)
    task = Task(
        job_id=str(job.id),
        title=title.text,
        body=body.text,
        base_branch=job.base_branch,
        base_sha=job.base_sha,
        test_commands=test_commands,
        exact_diffs=None if same else exact,
    )
    return Asked(task, Counter(title.removed) + Counter(body.removed))

"""Tasks, and what came of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pydantic import Field

from aicd_core.contracts import Usage
from aicd_core.contracts.values import Value


@dataclass(frozen=True)
class EvalTask:
    """One issue of one repository, with tests that the agent never sees.

    Args:
        repository: a folder of files, a git repository, or a bundle.
        base: branch or commit to start from; None is what the repository has checked out.
        tests: commands that must all end with 0 on the pull request's tree; None leaves the judging to somebody else.
        hidden: files laid over that tree before them.
        test_patch: a diff against the base whose files are laid over the tree, too.
        needs: programs that the sandbox must have.
        solution: a diff that resolves the issue; None when it is not known.
        timeout: seconds for each command of `tests`.
    """

    id: str
    issue: str
    repository: Path
    base: str | None = None
    language: str = ""
    tests: tuple[str, ...] | None = None
    hidden: Mapping[str, bytes] = field(default_factory=dict)
    test_patch: str = ""
    needs: tuple[str, ...] = ()
    solution: str | None = None
    timeout: float = 120.0

    def issue_with_solution(self) -> str:
        """The issue, spelling out its own change as the agent `dummy` wants it."""
        assert self.solution is not None, "asked only of tasks that have one"
        fence = "```"
        while fence in self.solution:
            fence += "`"
        return f"{self.issue.rstrip()}\n\n{fence}diff\n{self.solution.rstrip()}\n{fence}\n"


class Outcome(StrEnum):
    """What came of a task."""

    RESOLVED = "resolved"
    UNRESOLVED = "unresolved"
    """There is a pull request, and a hidden test fails on it."""
    NO_PULL_REQUEST = "no_pull_request"
    ERROR = "error"
    """Something outside of the agent went wrong, and says nothing about it; it counts as not resolved."""
    UNJUDGED = "unjudged"
    """There is a change, and the task names no way to test it here."""
    SKIPPED = "skipped"


COUNTED = frozenset({Outcome.RESOLVED, Outcome.UNRESOLVED, Outcome.NO_PULL_REQUEST, Outcome.ERROR})
"""Outcomes that the resolved rate is made of."""


class TestRun(Value):
    """One hidden test command and how it ended; `output` is the end of what it printed, where it failed."""

    command: str
    outcome: str
    passed: bool
    output: str = ""


class TaskResult(Value):
    """One task's outcome. `duration_s` is the job's time at work in seconds; `patch` is what the agent changed."""

    id: str
    language: str = ""
    outcome: Outcome
    reason: str | None = None
    job_id: str | None = None
    state: str | None = None
    draft: bool | None = None
    rounds: int = 0
    usage: Usage = Usage()
    duration_s: float = 0.0
    tests: tuple[TestRun, ...] = ()
    patch: str = ""


class Totals(Value):
    """Sums over tasks. `rate` is the share resolved of those counted, None when none is."""

    tasks: int
    counted: int
    resolved: int
    rate: float | None
    usage: Usage
    cost_usd: float
    duration_s: float


class Comparison(Value):
    """Two runs, over the tasks counted in both."""

    earlier_agent: str
    tasks: int
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    before: Totals
    now: Totals


class EvalReport(Value):
    """A whole run, as `results.json` holds it."""

    version: int = Field(default=1, ge=1, le=1)
    agent: str
    started_at: str
    results: tuple[TaskResult, ...]
    totals: Totals
    comparison: Comparison | None = None

"""What a repository's policy would have said of its past commits."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aicd_core.contracts import CodeHost, PolicyReport, PolicyVerdict, TestReport
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_core.policy import DEFAULT_RULES, Rules, effective_rules, evaluate, parse_rules, paths_to_read, plan_of
from aicd_core.repo_config import FILE_NAME, parse_repository_config
from aicd_core.text import one_line
from aicd_github.git.runner import Git
from aicd_github.history import History, PastCommit, open_history
from aicd_github.hosting.host import RepositoryHost
from aicd_github.hosting.source import LocalSource, open_local_source


@dataclass(frozen=True)
class Judged:
    """One commit and what the policy says of it; `fault` is why it cannot be judged."""

    commit: PastCommit
    report: PolicyReport | None
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The commit as it stands in the command's JSON."""
        findings = [f.model_dump(mode="json") for f in self.report.findings] if self.report else []
        return {
            "sha": self.commit.sha,
            "author": self.commit.author,
            "date": self.commit.when.isoformat(),
            "subject": self.commit.subject,
            "verdict": self.report.verdict.value if self.report else None,
            "findings": findings,
            "error": self.fault,
        }


def read_rules(file: Path | None) -> Rules:
    """The organisation's rules in a JSON file; the built-in ones without a file.

    Raises:
        InvalidInputError: the file cannot be read, or holds no rules.
    """
    if file is None:
        return DEFAULT_RULES
    try:
        return parse_rules(json.loads(file.read_text("utf-8")), str(file))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidInputError(
            f"{file} cannot be read as JSON: {why}. Name a file with policy rules.", code="bad_rules"
        ) from error


async def judge_past(source: str, count: int, organization: Rules) -> AsyncIterator[Judged]:
    """Judges the last commits, the newest first, each by the `.aicd.yml` before it.

    Raises:
        InvalidInputError: `source` is no repository on this machine, or nothing is committed in it.
        UnavailableError: its history cannot be read.
    """
    git = Git()
    place = await open_local_source(source, git)
    if not isinstance(place, LocalSource):
        raise InvalidInputError(
            f"{source} is not on this machine. Clone it, and name the clone's path.", code="not_a_repository"
        )
    async with open_history(place.folder, place.git_dir, place.form, git) as history:
        async for item in _judge_all(history, count, organization):
            yield item


async def judge_far(host: CodeHost, count: int, organization: Rules) -> AsyncIterator[Judged]:
    """As `judge_past`, of a repository behind a URL: its last commits are fetched by its code host, and kept for later.

    Raises:
        AicdError: it cannot be reached, or not any more with our credentials; `history_too_large`.
    """
    assert isinstance(host, RepositoryHost), "all hosts are"
    async for item in _judge_all(await host.fetch_history(count), count, organization):
        yield item


async def _judge_all(history: History, count: int, organization: Rules) -> AsyncIterator[Judged]:
    for commit in await history.commits(count):
        try:
            yield Judged(commit, await _judge(history, commit, organization))
        except (InvalidInputError, StepFailedError) as error:
            yield Judged(commit, None, error.message)


async def _judge(history: History, commit: PastCommit, organization: Rules) -> PolicyReport:
    change = await history.change(commit)
    files = await history.read_before(commit, {FILE_NAME, *paths_to_read(change)})
    config = parse_repository_config(files.get(FILE_NAME, b""))
    rules = effective_rules(organization, config.policy)
    plan = plan_of(change.files, change.base_sha, one_line(commit.subject) or commit.sha)
    return await asyncio.to_thread(evaluate, change, plan, TestReport(), rules, files)


def told(judged: Judged) -> str:
    """A commit for a person: its verdict, who and what, then a line for each finding."""
    commit, report = judged.commit, judged.report
    verdict = report.verdict.value if report else "?"
    lines = [f"{verdict:5}  {commit.sha[:10]}  {one_line(commit.author, 24):24}  {one_line(commit.subject, 72)}"]
    for finding in report.findings if report else ():
        place = f" {one_line(finding.path, 120)}" if finding.path else ""
        line = f":{finding.line}" if finding.line else ""
        lines.append(f"         {finding.verdict.value} {finding.rule}{place}{line}: {finding.message}")
    if judged.fault:
        lines.append(f"         cannot be judged: {one_line(judged.fault, 300)}")
    return "\n".join(lines)


def counted(judged: Sequence[Judged]) -> dict[str, int]:
    """How many commits got each verdict; `unjudged` are the others."""
    verdicts = Counter(item.report.verdict.value if item.report else "unjudged" for item in judged)
    return {name: verdicts[name] for name in (*(verdict.value for verdict in PolicyVerdict), "unjudged")}

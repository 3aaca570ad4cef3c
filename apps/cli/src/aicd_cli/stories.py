"""A job's story in words, for a person at a terminal or reading a pipe."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import chain
from pathlib import Path

from aicd_cli.prices import Price
from aicd_core.contracts import CommandResult, ReviewVerdict, TestLogs
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator import JobReport
from aicd_core.text import one_line, printable

TAIL_LINES = 20


def print_outcome(report: JobReport, data_dir: Path | None) -> None:
    """How a run ended, and what to do next; `data_dir` is the one named on the command line, if any."""
    _print(outcome_lines(report, data_dir))


def print_plan(report: JobReport, price: Price | None) -> None:
    """The plan that waits for approval, and its price if it has one."""
    _print(chain(plan_lines(report), _price_lines(price)))


def print_story(report: JobReport, price: Price | None = None) -> None:
    """Everything stored about a job; `price` is that of a plan that waits for approval."""
    _print(chain(story_lines(report), _price_lines(price)))


def print_logs(kept: TestLogs | None) -> None:
    """The whole logs of a round's commands."""
    _print(log_lines(kept))


def log_lines(kept: TestLogs | None) -> Iterator[str]:
    if kept is None:
        yield "No log is kept: what the commands printed is whole in their results (`aicd show JOB`)."
        return
    for log in kept.logs:
        yield f"$ {one_line(log.command, 200)}"
        yield printable(log.text())


def outcome_lines(report: JobReport, data_dir: Path | None) -> Iterator[str]:
    place = f" --data-dir {shlex.quote(str(data_dir))}" if data_dir else ""
    yield from _ending(report, place)
    yield f"  the whole story:  aicd show {report.job.id}{place}"


def _ending(report: JobReport, place: str = "") -> Iterator[str]:
    job, opened = report.job, report.pull_request
    if opened and job.state is JobState.PR_OPEN:
        yield f"Pull request {'(draft) ' if opened.draft else ''}open: {opened.url}"
        yield f"  branch {opened.branch} at {opened.head_sha[:12]}, to be merged into {opened.base_branch}"
        if job.reason:
            yield f"  {one_line(job.reason, 300)}"
        yield f"  look at it:  git diff {opened.base_branch}...{opened.branch}   (in the repository)"
        return
    yield f"Job {job.state.value}" + (f" ({job.code})" if job.code else "")
    yield from _indented(printable(job.reason or ""))
    if job.state is JobState.AWAITING_APPROVAL:
        yield f"  Its plan waits for approval:  aicd approve {job.id}{place}"


def plan_lines(report: JobReport) -> Iterator[str]:
    plan = report.plan
    if plan is None:
        return
    yield f"Plan (sha256:{plan.structure_hash()[:12]}, risk {plan.risk.level})"
    yield from _indented(printable(plan.problem))
    for step in plan.steps:
        yield f"  step {one_line(step.id)}: {one_line(step.goal, 200)}"
        yield from (f"    {file.op.value:6} {one_line(file.path, 300)}" for file in step.files)
    for criterion in plan.acceptance_criteria:
        verify = one_line(criterion.verify, 200)
        yield f"  criterion {one_line(criterion.id)}: {one_line(criterion.text, 200)} ({verify})"
    yield from (f"  assumed: {one_line(assumption, 400)}" for assumption in plan.assumptions)


def story_lines(report: JobReport) -> Iterator[str]:
    job = report.job
    yield f"Job {job.id}: {one_line(job.title)}"
    yield f"  agent {job.agent}, base {job.base_branch} at {job.base_sha[:12]}, {job.seconds_worked:.1f} s at work"
    yield from _history(report)
    yield from plan_lines(report)
    yield from _tests(report)
    yield from _judgement(report)
    yield from _ending(report)


def job_line(job: JobView) -> str:
    """One line for a list of jobs."""
    return f"{job.id}  {job.state.value:<17} {_stamp(job.updated_at)}  {one_line(job.title, 60)}"


def _price_lines(price: Price | None) -> Iterator[str]:
    if price is not None:
        yield f"  {price.sentence()}"


def _history(report: JobReport) -> Iterator[str]:
    yield "History"
    for event in report.events:
        name = event.event.value if event.event else "made"
        reason = one_line(str(event.detail.get("reason", "")), 160)
        yield f"  {_stamp(event.created_at)}  {name:<14} → {event.state.value}" + (f"  {reason}" if reason else "")


def _tests(report: JobReport) -> Iterator[str]:
    if report.tests is None:
        return
    results: tuple[CommandResult, ...] = (*report.tests.setup, *report.tests.tests)
    yield "Tests" if results else "Tests: none declared or found"
    for result in results:
        yield f"  $ {one_line(result.command, 200)}: {result.outcome()} in {result.duration:.1f} s"
        for denial in result.denials:
            yield f"    refused: {one_line(denial.host)}:{denial.port}, {one_line(denial.reason, 300)}"
        if not result.ok:
            yield from _indented("\n".join(printable(result.output).split("\n")[-TAIL_LINES:]), "    ")


def _judgement(report: JobReport) -> Iterator[str]:
    if report.policy is not None:
        yield f"Policy: {report.policy.verdict.value}"
        for finding in report.policy.findings:
            yield f"  {finding.verdict.value} {finding.rule}: {one_line(finding.message, 300)}"
            yield f"    {one_line(finding.remedy, 300)}"
    for number, review in report.reviews.items():
        yield f"Review of round {number}: {review.verdict.value}"
        for found in review.findings:
            yield from _indented(printable(found.message))
        if review.verdict is ReviewVerdict.APPROVE:
            yield from (f"  {one_line(c.id)}: {one_line(c.evidence, 200)}" for c in review.criteria)


def _indented(text: str, indent: str = "  ") -> Iterator[str]:
    return (indent + line for line in text.split("\n") if line.strip())


def _stamp(when: datetime) -> str:
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _print(lines: Iterator[str]) -> None:
    with suppress(OSError):  # nobody may be reading any more
        for line in lines:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()

"""The words of a commit and a pull request. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aicd_core.contracts import (
    MICRO_USD,
    Annotation,
    CommandResult,
    Evidence,
    Plan,
    PolicyFinding,
    PolicyVerdict,
    PullRequestDraft,
    Review,
    Usage,
)
from aicd_core.contracts.code_host import Level
from aicd_core.hygiene import HiddenKind
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.asked import hidden_note
from aicd_core.orchestrator.quoting import defused, quoted
from aicd_core.text import one_line

TITLE_MAX = 120


@dataclass(frozen=True)
class Outcome:
    """All that a pull request tells about its job. `removed` is what the agent did not see of the issue."""

    job: JobView
    plan: Plan
    evidence: Evidence
    review: Review
    usage: Usage
    escalated: bool
    removed: Mapping[HiddenKind, int]


def commit_message(job: JobView, plan: Plan, summary: str, *, again: bool = False) -> str:
    """Subject, what was done, and the trailers that lead back to the job and its plan.

    Hosts act on `fixes #1` and `@name` also in commits: an issue's title must not close another one.

    Args:
        again: it follows feedback on the pull request.
    """
    subject = f"Feedback: {job.title}" if again else job.title
    return (
        f"{defused(one_line(subject, 72))}\n\n{defused(one_line(summary, 500))}\n\n"
        f"AI-CD-Job: {job.id}\nAI-CD-Plan: sha256:{plan.structure_hash()}\n"
    )


def draft(outcome: Outcome, evidence: bytes) -> PullRequestDraft:
    """Title, body and the evidence bundle. A draft when policy asks for a person or the rounds ran out."""
    needs_person = outcome.escalated or outcome.evidence.policy.verdict is not PolicyVerdict.ALLOW
    sections = (
        _decide(outcome) if needs_person else "",
        _hidden(outcome),
        _feedback(outcome),
        _plan(outcome),
        _tests(outcome),
        _network(outcome),
        _policy(outcome),
        _cost(outcome),
    )
    body = "\n\n".join(section for section in sections if section)
    title = defused(one_line(outcome.job.title, TITLE_MAX))
    return PullRequestDraft(
        title=title,
        body=body + "\n",
        draft=needs_person,
        evidence=evidence,
        issue=outcome.job.issue_number,
        paths=tuple(file.path for file in outcome.evidence.change_set.files),
        verdict=_verdict(outcome),
        annotations=tuple(_annotations(outcome)),
    )


def _verdict(outcome: Outcome) -> str:
    """Policy, tests and review in one line."""
    tests = outcome.evidence.tests.tests
    passed = f"{sum(result.ok for result in tests)} of {len(tests)} test commands passed" if tests else "no tests run"
    return f"Policy: {outcome.evidence.policy.verdict.value}; review: {outcome.review.verdict.value}; {passed}"


def _annotations(outcome: Outcome) -> Iterator[Annotation]:
    """The findings that have a place in a changed file; the others are in the body."""
    changed = {file.path for file in outcome.evidence.change_set.files}
    for finding in outcome.evidence.policy.findings:
        if finding.path in changed and finding.verdict is not PolicyVerdict.ALLOW:
            level: Level = "failure" if finding.verdict is PolicyVerdict.DENY else "warning"
            words = {"title": f"policy {finding.rule}", "message": f"{finding.message} {finding.remedy}"}
            yield Annotation(path=finding.path, line=finding.line or 1, level=level, **words)
    for found in outcome.review.findings:
        if found.path in changed:
            level = "warning" if found.must_fix else "notice"
            yield Annotation(path=found.path, line=found.line or 1, level=level, title="review", message=found.message)


def _decide(outcome: Outcome) -> str:
    return "\n".join(("**A person must decide before this is merged:**", "", *_open_points(outcome)))


def _open_points(outcome: Outcome) -> Iterator[str]:
    for finding in outcome.evidence.policy.findings:
        yield f"- policy `{finding.rule}`{_place(finding)}: {_cell(finding.message)} {_cell(finding.remedy)}"
    if outcome.escalated:
        for found in outcome.review.findings:
            yield f"- review, still open: {_cell(found.message)}"


def _hidden(outcome: Outcome) -> str:
    note = hidden_note(outcome.removed)
    return f"**Hidden text in the issue:** {note}" if note else ""


def _feedback(outcome: Outcome) -> str:
    """What the last round was about, and what the coder says of it."""
    outside = outcome.evidence.outside
    if outside is None:
        return ""
    rows = [f"- review by {_cell(review.author, 60)}: {quoted(review.body, 200)}" for review in outside.reviews]
    rows += [f"- {_cell(thread.path)}: {quoted(thread.comments[-1].body, 200)}" for thread in outside.threads]
    rows += [f"- {_cell(said.author, 60)}: {quoted(said.body, 200)}" for said in outside.comments]
    rows += [f"- red check `{_cell(check.name)}`" for check in outside.failed_checks]
    rows += ["- the base branch moved and did not merge by itself"] if outside.merged_sha else []
    said = quoted("; ".join((outcome.evidence.change.summary, *outcome.evidence.change.notes)), 1000)
    number = outcome.job.status.feedback_rounds
    return "\n".join((f"## Feedback, round {number}", "", *rows, "", said))


def _plan(outcome: Outcome) -> str:
    results = {result.id: result for result in outcome.review.criteria}
    lines = [
        f"## Plan\n\n{_cell(outcome.plan.problem, 600)}\n",
        "| criterion | met | evidence |",
        "|---|---|---|",
    ]
    for criterion in outcome.plan.acceptance_criteria:
        result = results.get(criterion.id)
        met = "not judged" if result is None else ("yes" if result.met else "**no**")
        lines.append(f"| {_cell(criterion.text)} | {met} | {_cell(result.evidence if result else '')} |")
    lines += [f"\n- assumed: {_cell(assumption)}" for assumption in outcome.plan.assumptions]
    return "\n".join(lines)


def _tests(outcome: Outcome) -> str:
    results: tuple[CommandResult, ...] = (*outcome.evidence.tests.setup, *outcome.evidence.tests.tests)
    if not results:
        return "## Tests\n\nNo test command is declared or was found; nothing was run."
    rows = [f"| `{_cell(r.command)}` | {r.outcome()} | {r.duration:.1f} s |" for r in results]
    return "\n".join(("## Tests", "", "| command | outcome | time |", "|---|---|---|", *rows))


def _network(outcome: Outcome) -> str:
    denials = outcome.evidence.all_denials()
    if not denials:
        return ""
    rows = [f"- `{_cell(denial.host)}:{denial.port}`: {denial.reason}" for denial in denials]
    return "\n".join(("## Refused network connections", "", *rows))


def _policy(outcome: Outcome) -> str:
    report = outcome.evidence.policy
    rows = [
        f"- {finding.verdict.value} `{finding.rule}`{_place(finding)}: {_cell(finding.message)}"
        for finding in report.findings
    ]
    return "\n".join((f"## Policy: {report.verdict.value}", "", *(rows or ["Nothing to object to."])))


def _place(finding: PolicyFinding) -> str:
    """Where the finding is, as far as it has a place."""
    line = "" if finding.line is None else f":{finding.line}"
    return "" if finding.path is None else f" {_cell(finding.path)}{line}"


def _cost(outcome: Outcome) -> str:
    usage, job = outcome.usage, outcome.job
    tokens = usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens + usage.output_tokens
    return (
        f"---\nAgent `{job.agent}`, {outcome.evidence.round} round(s), {tokens} tokens, "
        f"{usage.cost_micro_usd / MICRO_USD:.4f} USD. Job `{job.id}`; `aicd show {job.id}` tells the whole story, "
        f"`aicd verify {job.id}` checks the signed evidence."
    )


def _cell(text: str, limit: int = 300) -> str:
    """Text from outside, on one line, unable to open a table cell or a HTML comment, to call anybody or to refer."""
    return quoted(text, limit).replace("|", "\\|")

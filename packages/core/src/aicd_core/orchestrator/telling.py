"""What the comment on a job's issue says: how the job is, always in the same one place."""

import asyncio
from dataclasses import dataclass

from aicd_core.contracts import MICRO_USD, CodeHost, Plan, PullRequest
from aicd_core.db.database import Database
from aicd_core.errors import AicdError
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView, key_of_number
from aicd_core.orchestrator.progress import Message, Observer
from aicd_core.orchestrator.quoting import fenced, quoted
from aicd_core.tenancy import Tenant
from aicd_core.usage import repository as ledger

PATIENCE = 60.0
"""Seconds that a job waits for its host to take a report."""
MOST_TELLINGS = 5
"""Of one report: as often is what changed meanwhile told as well."""
_WORDS = {
    JobState.QUEUED: "waits for a worker",
    JobState.PLANNING: "is being planned",
    JobState.AWAITING_APPROVAL: "has a plan that waits for approval",
    JobState.CODING: "is being coded",
    JobState.REVIEWING: "is being reviewed",
    JobState.PR_OPEN: "has an open pull request",
    JobState.PAUSED: "is paused",
    JobState.MERGED: "is done: its pull request was merged",
    JobState.CLOSED: "has ended: its pull request was closed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "was cancelled",
}
STOPPED = "has ended: no more work is done"
_REASON_MAX = 2000
_PLAN_MAX = 20_000


@dataclass(frozen=True)
class Story:
    """What is told of a job. `cost` in micro-USD, so far; `plan` only while it waits for somebody to approve it."""

    job: JobView
    plan: Plan | None = None
    opened: PullRequest | None = None
    cost: int = 0


def status_text(story: Story) -> str:
    """The comment, in Markdown. Pure."""
    job, opened = story.job, story.opened
    rounds = f" (round {job.status.round})" if job.status.round else ""
    how = STOPPED if job.status.is_stopped else _WORDS[job.state]
    lines = [f"**AI-CD:** this issue {how}{rounds}."]
    if opened is not None:
        draft = " (a draft: a person must decide)" if opened.draft else ""
        lines.append(f"Pull request: {opened.url}{draft}")
    if job.reason:
        lines.append(f"> {quoted(job.reason, _REASON_MAX)}")
    if story.plan is not None:
        lines.append(_plan(story.plan))
    if job.note:
        lines.append(job.note)
    lines.append(_foot(story))
    return "\n\n".join(lines)


def _plan(plan: Plan) -> str:
    """The plan as its approval is bound to it; it is a model's text, so it stands where it cannot act."""
    words = [plan.problem, "", "Criteria:", *(f"- {each.text} ({each.verify})" for each in plan.acceptance_criteria)]
    words += ["", "Steps:"]
    for number, step in enumerate(plan.steps, 1):
        words.append(f"{number}. {step.goal}")
        words += [f"   {file.op.value} {file.path}" for file in step.files]
    for title, texts in (
        ("Test commands:", plan.test_commands),
        ("New dependencies:", plan.new_dependencies),
        ("Assumed:", plan.assumptions),
        ("Left out:", plan.out_of_scope),
        ("Questions:", plan.open_questions),
    ):
        words += ["", title, *(f"- {text}" for text in texts)] if texts else []
    words += ["", f"Risk: {plan.risk.level}. {' '.join(plan.risk.reasons)}", f"Estimate: {plan.estimate.usd:.2f} USD"]
    how = (
        "`/aicd go` in a comment carries this plan out, `/aicd stop` drops it. For another one, edit the issue, then "
        "comment `/aicd stop` and `/aicd plan`."
    )
    return f"**Plan `{plan.structure_hash()[:12]}`.** {how}\n\n{fenced(chr(10).join(words), _PLAN_MAX)}"


def _foot(story: Story) -> str:
    job = story.job
    most = "" if job.cost_limit is None else f" of at most {job.cost_limit / MICRO_USD:.2f} USD"
    return (
        f"<sub>Job `{job.id}`, agent `{job.agent}`, cost so far {story.cost / MICRO_USD:.4f} USD{most}; `/aicd help` "
        "says how to steer it.</sub>"
    )


async def read_story(database: Database, job: JobView) -> Story | None:
    """The story of the newest job of a job's issue, in one transaction; None when it is erased."""
    tenant = Tenant(job.org_id)
    async with database.read(tenant) as session:
        newest = await jobs.get_job(session, tenant, job.id)
        if newest is not None and newest.issue_number is not None:
            key = key_of_number(newest.issue_number)
            newest = await jobs.find_newest(session, tenant, newest.repository_id, key)
        if newest is None:
            return None
        plan = None
        if newest.state is JobState.AWAITING_APPROVAL:
            plan = await artifacts.get_artifact(session, tenant, newest.id, ArtifactKind.PLAN)
        opened = await artifacts.get_artifact(session, tenant, newest.id, ArtifactKind.PULL_REQUEST)
        cost = (await ledger.total(session, tenant, newest.id)).cost_micro_usd
    return Story(
        newest,
        None if plan is None else Plan.model_validate_json(plan),
        None if opened is None else PullRequest.model_validate_json(opened),
        cost,
    )


async def tell(database: Database, host: CodeHost, job: JobView, observe: Observer) -> None:
    """Has the issue say how its newest job is, as it is when this returns, whoever else tells at the same time.

    The job goes on whatever comes of this: trouble is told to the observer and raises nothing.
    """
    if job.issue_number is None:
        return
    try:
        async with asyncio.timeout(PATIENCE):
            told = await read_story(database, job)
            for _ in range(MOST_TELLINGS):
                if told is None:
                    return
                await host.report(told.job.id, job.issue_number, status_text(told))
                now = await read_story(database, job)
                if now is None or status_text(now) == status_text(told):
                    return
                told = now
    except (AicdError, TimeoutError) as error:
        observe(Message(job.id, f"the issue could not be told: {f'{error}' or 'the host took too long'}"))

"""The evidence bundle of a round: made once, signed, stored, and found again by whoever publishes."""

import asyncio
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version

from aicd_core.agents.registry import agent_version
from aicd_core.attestation import Envelope, Predicate, Statement, load_signing_keys, seal
from aicd_core.attestation.statement import (
    CommandEvidence,
    Issue,
    JournalEvidence,
    Ledger,
    LedgerLine,
    PolicyEvidence,
    Software,
    Source,
)
from aicd_core.contracts import PromptUse, TestReport, Usage
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView
from aicd_core.journal.digest import chain
from aicd_core.journal.values import CallDigest
from aicd_core.orchestrator.pull_request import Outcome
from aicd_core.orchestrator.records import Books
from aicd_core.orchestrator.steps.context import StepContext
from aicd_core.policy.summary import verdict_of_each_rule

PACKAGE = "aicd-core"


async def evidence_of(step: StepContext, outcome: Outcome, head_sha: str) -> Envelope:
    """The signed bundle of the round that is being published; the stored one, if an earlier run made it.

    Raises:
        InvalidInputError: AICD_SIGNING_KEYS cannot be used.
        UnavailableError: the signing key cannot be read or made.
        LeaseLostError: this worker no longer holds the job.
    """
    number = outcome.evidence.round
    stored = await step.records.load(ArtifactKind.EVIDENCE, Envelope, number)
    if stored is not None:
        return stored
    keys = await asyncio.to_thread(load_signing_keys, step.settings)
    predicate = _predicate(outcome, head_sha, step, await step.records.books())
    return await step.records.keep(ArtifactKind.EVIDENCE, number, seal(Statement.about(predicate), keys))


def commands_of(tests: TestReport) -> tuple[CommandEvidence, ...]:
    """The commands of a test report in order, with their exit codes."""
    setup = (CommandEvidence(phase="setup", command=r.command, exit_code=r.exit_code) for r in tests.setup)
    checks = (CommandEvidence(phase="test", command=r.command, exit_code=r.exit_code) for r in tests.tests)
    return (*setup, *checks)


def ledger_lines(books: Books) -> tuple[LedgerLine, ...]:
    """The entries of a ledger as evidence has them."""
    return tuple(LedgerLine(key=entry.key, usage=entry.usage) for entry in books.entries)


def prompts_of(calls: Iterable[CallDigest]) -> tuple[PromptUse, ...]:
    """The prompts from which calls were made, each version once, by role, name and version."""
    used = {prompt for call in calls for prompt in call.prompts}
    return tuple(sorted(used, key=lambda prompt: (prompt.role, prompt.name, prompt.version, prompt.sha256)))


def _predicate(outcome: Outcome, head_sha: str, step: StepContext, books: Books) -> Predicate:
    job, evidence = outcome.job, outcome.evidence
    policy = PolicyEvidence(verdict=evidence.policy.verdict, rules=verdict_of_each_rule(evidence.policy))
    return Predicate(
        job_id=str(job.id),
        round=evidence.round,
        repository=Source(
            source=step.source,
            base_branch=job.base_branch,
            base_sha=step.base.sha,
            parents=step.outside.parents if step.outside else None,
            head_sha=head_sha,
            tree_sha=evidence.change_set.tree_sha,
            branch=job.branch,
        ),
        issue=_issue(job, outcome),
        agent=Software(name=job.agent, version=agent_version(job.agent)),
        aicd=Software(name=PACKAGE, version=version(PACKAGE)),
        plan_sha256=outcome.plan.structure_hash(),
        policy=policy,
        commands=commands_of(evidence.tests),
        review=outcome.review.verdict,
        escalated=outcome.escalated,
        ledger=_ledger(books),
        journal=_journal(books),
        prompts=prompts_of(books.calls),
        job_created_at=job.created_at,
        made_at=datetime.now(UTC),
        seconds_worked=job.seconds_worked,
    )


def _issue(job: JobView, outcome: Outcome) -> Issue:
    hidden = {kind.value: count for kind, count in outcome.removed.items() if count}
    return Issue(title=job.title, sha256=hashlib.sha256(job.body.encode()).hexdigest(), hidden=hidden)


def _ledger(books: Books) -> Ledger:
    total = Usage()
    for entry in books.entries:
        total += entry.usage
    return Ledger(entries=ledger_lines(books), total=total)


def _journal(books: Books) -> JournalEvidence:
    models = tuple(sorted({call.model for call in books.calls}))
    return JournalEvidence(calls=len(books.calls), sha256=chain(books.calls), models=models)

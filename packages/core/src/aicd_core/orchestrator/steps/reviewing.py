"""REVIEWING: the critic judges the round; then it is published, sent back, or given to a person."""

from collections.abc import Sequence
from typing import TypeVar

from aicd_core.attestation import Envelope
from aicd_core.contracts import (
    ChangeSet,
    CodedChange,
    CommitRequest,
    CriterionResult,
    EarlierRound,
    Evidence,
    Plan,
    PolicyReport,
    PolicyVerdict,
    PullRequest,
    Review,
    ReviewFinding,
    ReviewVerdict,
    TestReport,
)
from aicd_core.contracts.values import Value
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.models import ArtifactKind
from aicd_core.orchestrator.attesting import evidence_of
from aicd_core.orchestrator.outside.answering import answer_all, done
from aicd_core.orchestrator.pull_request import Outcome, commit_message, draft
from aicd_core.orchestrator.steps.asking import answer
from aicd_core.orchestrator.steps.context import StepContext, StepResult
from aicd_core.telemetry.metrics import REVIEWS
from aicd_core.telemetry.tracing import span

ValueT = TypeVar("ValueT", bound=Value)


async def run(step: StepContext) -> StepResult:
    """One review and what follows from it."""
    number = step.job.status.round
    plan, evidence = await step.plan(), await gather(step, number)
    review = await step.records.load(ArtifactKind.REVIEW, Review, number)
    if review is None:
        review = await ask(step, plan, evidence)
        REVIEWS.labels(review.verdict.value).inc()
    approved = review.verdict is ReviewVerdict.APPROVE
    if approved and evidence.policy.verdict is not PolicyVerdict.DENY:
        return await _publish(step, plan, evidence, review, escalated=False)
    rounds_left = step.job.status.reviews < step.settings.max_rounds and review.verdict is not ReviewVerdict.ESCALATE
    if rounds_left:
        return StepResult(JobEvent.REJECTED, "review_rejected", _why(review))
    if evidence.policy.verdict is PolicyVerdict.DENY:
        return StepResult(JobEvent.FAILED, "policy_denied", _why(review))
    return await _publish(step, plan, evidence, review, escalated=True)


async def gather(step: StepContext, number: int) -> Evidence:
    """All that is stored of a round, as the critic is shown it."""
    coded = await _stored(step, ArtifactKind.CHANGE, CodedChange, number)
    return Evidence(
        round=number,
        change=coded.change,
        change_set=coded.change_set,
        tests=await _stored(step, ArtifactKind.TEST_REPORT, TestReport, number),
        policy=await _stored(step, ArtifactKind.POLICY_REPORT, PolicyReport, number),
        denials=coded.denials,
        earlier=tuple([await _earlier(step, before) for before in await _rounds_before(step, number)]),
        outside=step.outside,
        inherited=await _inherited(step),
    )


async def _rounds_before(step: StepContext, number: int) -> Sequence[int]:
    """The rounds that this one goes on from, as far as they are measured from where it is; also the published one."""
    outside = step.outside
    if outside is None:
        return range(1, number)
    published = [outside.published_round] if await step.coded(outside.published_round) else []
    return [*published, *range(outside.round, number)]


async def _inherited(step: StepContext) -> bytes:
    """What was on the branch before that is not measured: a change with somebody else's commits on top."""
    outside = step.outside
    if outside is None or outside.merged_sha is not None or outside.start_sha == step.job.base_sha:
        return b""
    return await step.checkout.patch_since(step.job.base_sha)


async def _earlier(step: StepContext, number: int) -> EarlierRound:
    coded = await _stored(step, ArtifactKind.CHANGE, CodedChange, number)
    review = await _stored(step, ArtifactKind.REVIEW, Review, number)
    return EarlierRound(round=number, patch=coded.change_set.patch, review=review)


async def _stored(step: StepContext, kind: ArtifactKind, model: type[ValueT], number: int) -> ValueT:
    value = await step.records.load(kind, model, number)
    assert value is not None, "a job comes to its review with the whole round stored"
    return value


async def ask(step: StepContext, plan: Plan, evidence: Evidence) -> Review:
    """The critic's review; what policy denies is rejected without paying for one."""
    number = evidence.round
    if evidence.policy.verdict is PolicyVerdict.DENY:
        return await step.records.keep(ArtifactKind.REVIEW, number, _denied(plan, evidence.policy))
    call = step.agent.review(await step.task(), plan, evidence, step.session)
    review = await answer(call, Review, step.job.agent)
    return await step.records.keep(ArtifactKind.REVIEW, number, review, step.session.drain())


def _denied(plan: Plan, policy: PolicyReport) -> Review:
    """The platform's own review of a change that policy denies."""
    findings = tuple(
        ReviewFinding(
            id=f"policy-{number}",
            severity="high",
            path=finding.path,
            line=finding.line,
            message=f"Policy rule {finding.rule}: {finding.message} {finding.remedy}",
        )
        for number, finding in enumerate(policy.findings, 1)
        if finding.verdict is PolicyVerdict.DENY
    )
    criteria = tuple(
        CriterionResult(id=criterion.id, met=False, evidence="Not judged: policy denies the change.")
        for criterion in plan.acceptance_criteria
    )
    return Review(verdict=ReviewVerdict.REJECT, findings=findings, criteria=criteria)


def _why(review: Review) -> str:
    """What must be fixed, in one line each."""
    return "\n".join(finding.message for finding in review.findings) or "The review gave no finding."


async def _publish(step: StepContext, plan: Plan, evidence: Evidence, review: Review, *, escalated: bool) -> StepResult:
    """Commits the measured tree and opens the pull request, or brings it up to date; finds both again after a crash."""
    asked, outside = await step.asked(), step.outside
    outcome = Outcome(step.job, plan, evidence, review, await step.records.usage(), escalated, asked.removed)
    bundle = await _unchanged(step, evidence.change_set)
    if bundle is None:
        head = await step.checkout.commit(_request(step, plan, evidence))
        bundle = await evidence_of(step, outcome, head)
        commit = head
    else:
        assert outside is not None, "only a round on feedback can leave everything as it is"
        head, commit = outside.head_sha, None
    await step.confirm()
    wanted, onto = draft(outcome, bundle.file()), outside.head_sha if outside else None
    with span("publish"):
        opened = await step.host.publish(step.job.id, step.checkout, head, step.base, wanted, step.confirm, onto=onto)
    if outside is not None:
        words = done(evidence.change, commit)
        await answer_all(step.host, step.job.id, outside.threads, outside.unheard, words)
    await step.records.keep(ArtifactKind.PULL_REQUEST, evidence.round, opened)
    return StepResult(JobEvent.PUBLISHED, "escalated" if escalated else None, _after(opened, review, escalated))


def _request(step: StepContext, plan: Plan, evidence: Evidence) -> CommitRequest:
    outside = step.outside
    return CommitRequest(
        change_set=evidence.change_set,
        message=commit_message(step.job, plan, evidence.change.summary, again=outside is not None),
        when=step.job.created_at,
        parents=outside.parents if outside else (),
    )


async def _unchanged(step: StepContext, change_set: ChangeSet) -> Envelope | None:
    """The evidence of what is published, where this round left that as it is: nothing is committed then."""
    outside = step.outside
    if outside is None or outside.merged_sha is not None or outside.start_sha == outside.head_sha:
        return None  # a commit of somebody else's has no evidence: this job's own goes on top of it
    published = await step.coded(outside.published_round)
    if published is None or published.change_set.tree_sha != change_set.tree_sha:
        return None
    return await step.records.load(ArtifactKind.EVIDENCE, Envelope, outside.published_round)


def _after(opened: PullRequest, review: Review, escalated: bool) -> str | None:
    if escalated:
        why = "The critic asks for a person" if review.verdict is ReviewVerdict.ESCALATE else "The rounds ran out"
        return f"{why} with findings still open; the pull request is a draft that names them."
    return "Policy asks for a person; the pull request is a draft." if opened.draft else None

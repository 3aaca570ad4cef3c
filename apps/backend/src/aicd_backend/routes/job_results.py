"""What a job came to: plan, change, tests, policy's verdict, reviews, evidence, cost."""

from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Query, Response
from pydantic import Field

from aicd_backend.access import needs, secured_router
from aicd_backend.answers import UsageAnswer
from aicd_backend.billing.offering import offer
from aicd_backend.billing.plans import Plans
from aicd_backend.billing.spending import repository as spending
from aicd_backend.billing.spending.values import micro_usd
from aicd_backend.bodies import Answer
from aicd_backend.callers import Here, TenantCaller
from aicd_backend.routes.billing import KeeperHere, MeterAnswer, PlansHere
from aicd_backend.routes.jobs import JOB
from aicd_backend.steering import require_job
from aicd_core.attestation import Envelope
from aicd_core.contracts import CodedChange, Plan, PolicyReport, PullRequest, Review, TestLogs, TestReport
from aicd_core.contracts.change import FileChange
from aicd_core.contracts.values import Value
from aicd_core.errors import NotFoundError
from aicd_core.ids import JobId
from aicd_core.jobs.artifacts.repository import get_artifact, list_artifacts
from aicd_core.jobs.models import ArtifactKind
from aicd_core.tenancy.permissions import Permission
from aicd_core.usage import repository as ledger

router = secured_router("job results")
ValueT = TypeVar("ValueT", bound=Value)
_READ = needs(Permission.JOBS_READ)

Round = Annotated[
    int | None, Query(alias="round", ge=0, le=1000, description="Which round's, from 1; the newest if left out.")
]


class PlanPrice(Answer):
    """What carrying a plan out is about to cost the organization, on the plan that it pays by now, before credit."""

    micro_usd: int
    is_estimate: bool = Field(description="False where there is one price whatever the work.")
    charged_micro_usd: int = Field(description="What the job was charged already.")


class PlanAnswer(Answer):
    """A plan and what approving it binds to."""

    hash: str = Field(description="SHA-256 of the plan's structure, for `plan/approve`.")
    plan: Plan
    price: PlanPrice | None = Field(description="What carrying it out is about to cost; null: nothing is charged here.")


class CostAnswer(Answer):
    """What a job's charges come to so far; what it did in the last minute may have none yet."""

    meters: tuple[MeterAnswer, ...]
    micro_usd: int
    credit_micro_usd: int = Field(description="What credit paid.")


class DiffAnswer(Answer):
    """The whole change from the base commit."""

    base_sha: str
    tree_sha: str
    summary: str = Field(description="The coder's own words: a claim, no proof.")
    files: tuple[FileChange, ...]
    patch: str = Field(description="As `git diff --binary`; bytes that are not UTF-8 are U+FFFD: see `patch` for all.")


class ReviewAnswer(Answer):
    """The critic's review of one round."""

    round: int
    review: Review


class LogAnswer(Answer):
    """All that a command printed."""

    command: str
    text: str


class TestsAnswer(Answer):
    """What set-up and tests did in a round. `logs` are there for commands whose output is only shown in part."""

    __test__ = False  # not a pytest class

    report: TestReport
    logs: tuple[LogAnswer, ...]


async def _stored(
    here: TenantCaller, job_id: UUID, kind: ArtifactKind, model: type[ValueT], number: int | None = None
) -> ValueT:
    found = await _find(here, job_id, kind, model, number)
    if found is None:
        which = "" if number is None else f" of round {number}"
        raise NotFoundError(f"The job has no {kind.value.replace('_', ' ')}{which} yet.", code="not_there_yet")
    return found


async def _find(
    here: TenantCaller, job_id: UUID, kind: ArtifactKind, model: type[ValueT], number: int | None = None
) -> ValueT | None:
    await require_job(here, JobId(job_id))
    async with here.read() as session:
        content = await get_artifact(session, here.tenant, JobId(job_id), kind, number)
    return None if content is None else model.model_validate_json(content)


@router.get(f"{JOB}/plan", summary="Its newest plan", **_READ)
async def get_plan(here: Here, job_id: UUID, plans: PlansHere, keeper: KeeperHere) -> PlanAnswer:
    plan = await _stored(here, job_id, ArtifactKind.PLAN, Plan)
    price = None if keeper is None else await _price(here, JobId(job_id), plan, plans)
    return PlanAnswer(hash=plan.structure_hash(), plan=plan, price=price)


async def _price(here: TenantCaller, job_id: JobId, plan: Plan, plans: Plans) -> PlanPrice:
    async with here.read() as session:
        found = await offer(session, here.tenant, job_id, plans, (plan.estimate.usd, None), here.now)
    return PlanPrice(
        micro_usd=found.quote.micro_usd,
        is_estimate=found.quote.is_estimate,
        charged_micro_usd=found.charged_micro_usd,
    )


@router.get(f"{JOB}/diff", summary="Its change", **_READ)
async def get_diff(here: Here, job_id: UUID, number: Round = None) -> DiffAnswer:
    coded = await _stored(here, job_id, ArtifactKind.CHANGE, CodedChange, number)
    change = coded.change_set
    return DiffAnswer(
        base_sha=change.base_sha,
        tree_sha=change.tree_sha,
        summary=coded.change.summary,
        files=change.files,
        patch=change.patch_text(),
    )


@router.get(
    f"{JOB}/patch",
    summary="Its change for `git apply`, byte for byte",
    response_class=Response,
    **{
        **_READ,
        "responses": {
            **_READ["responses"],
            200: {"content": {"text/x-diff": {"schema": {"type": "string", "format": "binary"}}}},
        },
    },
)
async def get_patch(here: Here, job_id: UUID, number: Round = None) -> Response:
    coded = await _stored(here, job_id, ArtifactKind.CHANGE, CodedChange, number)
    named = {"Content-Disposition": f'attachment; filename="{job_id}.patch"'}
    return Response(coded.change_set.patch, media_type="text/x-diff", headers=named)


@router.get(f"{JOB}/reviews", summary="Its reviews, oldest first", **_READ)
async def list_reviews(here: Here, job_id: UUID) -> tuple[ReviewAnswer, ...]:
    await require_job(here, JobId(job_id))
    async with here.read() as session:
        stored = await list_artifacts(session, here.tenant, JobId(job_id), ArtifactKind.REVIEW)
    return tuple(ReviewAnswer(round=number, review=Review.model_validate_json(content)) for number, content in stored)


@router.get(f"{JOB}/tests", summary="What its tests did", **_READ)
async def get_tests(here: Here, job_id: UUID, number: Round = None) -> TestsAnswer:
    report = await _stored(here, job_id, ArtifactKind.TEST_REPORT, TestReport, number)
    logs = await _find(here, job_id, ArtifactKind.TEST_LOGS, TestLogs, number)
    texts = [LogAnswer(command=log.command, text=log.text()) for log in logs.logs] if logs else []
    return TestsAnswer(report=report, logs=tuple(texts))


@router.get(f"{JOB}/policy", summary="What policy says of its change", **_READ)
async def get_policy_report(here: Here, job_id: UUID, number: Round = None) -> PolicyReport:
    return await _stored(here, job_id, ArtifactKind.POLICY_REPORT, PolicyReport, number)


@router.get(f"{JOB}/pull-request", summary="Its pull request", **_READ)
async def get_pull_request(here: Here, job_id: UUID) -> PullRequest:
    return await _stored(here, job_id, ArtifactKind.PULL_REQUEST, PullRequest)


@router.get(
    f"{JOB}/evidence",
    summary="Its signed evidence, for `aicd verify`",
    response_class=Response,
    **{
        **_READ,
        "responses": {
            **_READ["responses"],
            200: {"content": {"application/json": {"schema": {"type": "object"}}}},
        },
    },
)
async def get_evidence(here: Here, job_id: UUID) -> Response:
    """A DSSE envelope, as in the pull request."""
    sealed = await _stored(here, job_id, ArtifactKind.EVIDENCE, Envelope)
    named = {"Content-Disposition": f'attachment; filename="{job_id}.evidence.json"'}
    return Response(sealed.file(), media_type="application/json", headers=named)


@router.get(f"{JOB}/usage", summary="What it used so far", **_READ)
async def get_job_usage(here: Here, job_id: UUID) -> UsageAnswer:
    await require_job(here, JobId(job_id))
    async with here.read() as session:
        return UsageAnswer.of(await ledger.total(session, here.tenant, JobId(job_id)))


@router.get(f"{JOB}/cost", summary="What the organization was charged for it", **_READ)
async def get_job_cost(here: Here, job_id: UUID) -> CostAnswer:
    await require_job(here, JobId(job_id))
    async with here.read() as session:
        sums = await spending.sum_job(session, here.tenant, JobId(job_id))
    return CostAnswer(
        meters=tuple(map(MeterAnswer.of, sums)),
        micro_usd=micro_usd(sum(one.pico_usd for one in sums)),
        credit_micro_usd=micro_usd(sum(one.credit_pico_usd for one in sums)),
    )

"""A job's whole story for a reader: the JSON object of `aicd run --json` (design §8)."""

from dataclasses import dataclass
from typing import Any, TypeVar

from aicd_core.contracts import (
    MICRO_USD,
    CodedChange,
    Plan,
    PolicyReport,
    PullRequest,
    Review,
    TestLogs,
    TestReport,
    Usage,
)
from aicd_core.contracts.values import Value
from aicd_core.db.database import Database
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.service import require_job
from aicd_core.jobs.values import EventView, JobView
from aicd_core.tenancy import Tenant
from aicd_core.usage import repository as ledger

ValueT = TypeVar("ValueT", bound=Value)


@dataclass(frozen=True)
class JobReport:
    """Everything stored about a job: the newest of each kind, None where there is none yet; `reviews` by round."""

    job: JobView
    events: tuple[EventView, ...]
    plan: Plan | None
    coded: CodedChange | None
    tests: TestReport | None
    policy: PolicyReport | None
    reviews: dict[int, Review]
    pull_request: PullRequest | None
    usage: Usage

    def as_json(self) -> dict[str, Any]:
        """The object of design §8; absent parts are null, `duration_s` is the time at work in seconds."""
        job, opened, usage = self.job, self.pull_request, self.usage
        return {
            "job_id": str(job.id),
            "state": job.state.value,
            "code": job.code,
            "reason": job.reason,
            "base_sha": job.base_sha,
            "branch": opened.branch if opened else None,
            "head_sha": opened.head_sha if opened else None,
            "pull_request": opened.model_dump(include={"url", "number", "draft"}) if opened else None,
            "plan": self.plan.model_dump(mode="json") if self.plan else None,
            "policy": self.policy.model_dump(mode="json", exclude={"evaluated"}) if self.policy else None,
            "rounds": job.status.round,
            "usage": {
                **usage.model_dump(exclude={"cost_micro_usd"}),
                "cost_usd": usage.cost_micro_usd / MICRO_USD,
            },
            "duration_s": round(job.seconds_worked, 3),
        }


async def read_report(database: Database, tenant: Tenant, job_id: JobId) -> JobReport:
    """Reads a job's story in one transaction.

    Raises:
        NotFoundError: the tenant has no such job.
    """
    async with database.read(tenant) as session:
        job = await require_job(session, tenant, job_id)

        async def newest(kind: ArtifactKind, model: type[ValueT]) -> ValueT | None:
            content = await artifacts.get_artifact(session, tenant, job_id, kind)
            return None if content is None else model.model_validate_json(content)

        stored = await artifacts.list_artifacts(session, tenant, job_id, ArtifactKind.REVIEW)
        reviews = {number: Review.model_validate_json(content) for number, content in stored}
        return JobReport(
            job=job,
            events=tuple(await jobs.list_events(session, tenant, job_id)),
            plan=await newest(ArtifactKind.PLAN, Plan),
            coded=await newest(ArtifactKind.CHANGE, CodedChange),
            tests=await newest(ArtifactKind.TEST_REPORT, TestReport),
            policy=await newest(ArtifactKind.POLICY_REPORT, PolicyReport),
            reviews=reviews,
            pull_request=await newest(ArtifactKind.PULL_REQUEST, PullRequest),
            usage=await ledger.total(session, tenant, job_id),
        )


async def read_logs(database: Database, tenant: Tenant, job_id: JobId) -> TestLogs | None:
    """The whole logs of the last round's commands that were too long for their results; None when none was."""
    async with database.read(tenant) as session:
        content = await artifacts.get_artifact(session, tenant, job_id, ArtifactKind.TEST_LOGS)
    return None if content is None else TestLogs.model_validate_json(content)

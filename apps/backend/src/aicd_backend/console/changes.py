"""A job's change as it stands, with what policy and critic say at its lines."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here
from aicd_backend.console.diffs import Finding, diff_page
from aicd_backend.console.job import JOB, job_page
from aicd_backend.console.results import if_there
from aicd_backend.console.routing import console_router, sees
from aicd_backend.console.words import VERDICTS
from aicd_backend.routes.job_results import (
    ReviewAnswer,
    get_diff,
    get_policy_report,
    list_reviews,
)
from aicd_backend.routes.jobs import get_job
from aicd_core.contracts import PolicyReport
from aicd_core.tenancy.permissions import Permission

router = console_router()
FILES_MOST = 500
"""Files that are listed above a change; more are only counted."""
TONES = {"low": "off", "medium": "ask", "high": "bad"}


@router.get(f"{JOB}/changes", **sees(Permission.JOBS_READ))
async def show_changes(
    request: Request, here: Here, job_id: UUID, number: int | None = None, part: int = 1
) -> Response:
    """Args: number: the round; part: the page of the diff."""
    job, reviews = await get_job(here, job_id), await list_reviews(here, job_id)
    diff = await if_there(get_diff(here, job_id, number))
    report = await if_there(get_policy_report(here, job_id, number)) if diff else None
    wanted = number or max((review.round for review in reviews), default=None)
    findings = list(_findings(report, [review for review in reviews if review.round == wanted]))
    shown = diff_page(diff.patch, diff.files, findings, part) if diff else None
    return await job_page(
        *(request, here, "job_changes.html", "changes", job),
        diff=diff,
        shown=shown,
        files_most=FILES_MOST,
        everywhere=[finding for finding in findings if finding.path is None],
        rounds=sorted({review.round for review in reviews} | ({job.round} if job.round else set())),
        number=number or job.round,
    )


def _findings(report: PolicyReport | None, reviews: Sequence[ReviewAnswer]) -> Iterator[Finding]:
    for found in report.findings if report else ():
        tone = VERDICTS[found.verdict.value][1]
        yield Finding(f"Policy: {found.rule}", tone, found.path, found.line, found.message, found.remedy)
    for review in reviews:
        for said in review.review.findings:
            by = f"Review {review.round}: {said.severity}"
            yield Finding(by, TONES[said.severity], said.path, said.line, said.message)

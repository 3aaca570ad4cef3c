"""What a job's tests did, and all that they printed, some lines at a time."""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here
from aicd_backend.console.job import JOB, job_page
from aicd_backend.console.results import if_there
from aicd_backend.console.routing import console_router, sees
from aicd_backend.problems import RefusedError
from aicd_backend.routes.job_results import TestsAnswer, get_tests
from aicd_backend.routes.jobs import get_job
from aicd_core.tenancy.permissions import Permission

router = console_router()
LINES_MOST = 500
"""Lines of a log that are shown at once."""
LINE_MOST = 2_000
"""Characters of a line that are shown."""


@router.get(f"{JOB}/tests", **sees(Permission.JOBS_READ))
async def show_tests(request: Request, here: Here, job_id: UUID, number: int | None = None) -> Response:
    """Args: number: the round."""
    job = await get_job(here, job_id)
    tests = await if_there(get_tests(here, job_id, number))
    return await job_page(
        *(request, here, "job_tests.html", "tests", job),
        report=tests.report if tests else None,
        whole=[log.command for log in tests.logs] if tests else [],
        number=number or job.round,
        rounds=range(1, job.round + 1),
    )


@router.get(f"{JOB}/tests/log", **sees(Permission.JOBS_READ))
async def show_log(
    request: Request, here: Here, job_id: UUID, log: int = 0, number: int | None = None, line: int = 1
) -> Response:
    """Args: log: which whole log, from 0; number: the round; line: the first that is shown, from 1; -1: the end."""
    job, tests = await get_job(here, job_id), await get_tests(here, job_id, number)
    command, text = _chosen(tests, log)
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    last_window = max(1, len(lines) - LINES_MOST + 1)
    first = last_window if line < 0 else min(max(line, 1), max(1, len(lines)))
    shown = [(first + index, text[:LINE_MOST]) for index, text in enumerate(lines[first - 1 : first - 1 + LINES_MOST])]
    return await job_page(
        *(request, here, "job_log.html", "tests", job),
        command=command,
        lines=shown,
        total=len(lines),
        log=log,
        number=number,
        earlier=max(1, first - LINES_MOST) if first > 1 else None,
        later=first + LINES_MOST if first + LINES_MOST <= len(lines) else None,
    )


def _chosen(tests: TestsAnswer, index: int) -> tuple[str, str]:
    if not 0 <= index < len(tests.logs):
        raise RefusedError(404, "not_found", "There is no such log of this round.")
    return tests.logs[index].command, tests.logs[index].text

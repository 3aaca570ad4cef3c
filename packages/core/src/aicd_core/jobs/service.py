"""Looking for jobs that somebody named."""

from aicd_core.db.sessions import Courier, ReadSession
from aicd_core.errors import NotFoundError
from aicd_core.ids import JobId
from aicd_core.jobs import repository
from aicd_core.jobs.values import JobView
from aicd_core.tenancy import Tenant


async def require_job(session: ReadSession | Courier, tenant: Tenant, job_id: JobId) -> JobView:
    """One job.

    Raises:
        NotFoundError: `no_such_job`: the tenant has no such job.
    """
    job = await repository.get_job(session, tenant, job_id)
    if job is None:
        raise NotFoundError(f"There is no job {job_id}. `aicd jobs` lists them.", code="no_such_job")
    return job

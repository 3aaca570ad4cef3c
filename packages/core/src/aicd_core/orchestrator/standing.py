"""Whether an organization may have one more job at work."""

from aicd_core.db.sessions import WriteSession
from aicd_core.jobs.pull_requests.repository import count_pull_requests
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.standings.repository import lock_standing


async def require_standing(session: WriteSession, tenant: Tenant) -> None:
    """Does nothing if the organization may have the job that was just made or resumed; raising, it takes that back.

    Those of one organization ask one after the other, so that two of them do not both have the last place.

    Raises:
        StoppedError: no work, or no further pull request, is to be had for the organization now.
    """
    standing = await lock_standing(session, tenant)
    if standing is None:
        return
    if standing.stopped is not None:
        raise standing.stopped.error()
    limit = standing.limit
    if limit is not None and await count_pull_requests(session, tenant, standing.since) > limit.pull_requests:
        raise limit.why.error()

"""Leases as the rest of the program sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

from aicd_core.ids import JobId, OrgId
from aicd_core.jobs.values import JobView
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.models import PlanApproval


@dataclass(frozen=True)
class Terms:
    """What the organization of a job decided for all its jobs.

    Args:
        has_budget: whether any budget binds the job, its own included.
    """

    plan_approval: PlanApproval
    has_budget: bool = True


@dataclass(frozen=True)
class Taken:
    """A job whose lease was just taken, with the source of its repository; `job.lease_owner` is the holder."""

    job: JobView
    source: str
    terms: Terms

    @property
    def tenant(self) -> Tenant:
        return Tenant(self.job.org_id)

    @property
    def owner(self) -> str:
        assert self.job.lease_owner is not None, "a taken job has a holder"
        return self.job.lease_owner


@dataclass(frozen=True)
class Demand:
    """Who wants work: one new owner's name for each job that is wanted, at most so many jobs are given.

    Args:
        seconds: how long the leases are.
        only: wants this job and no other; takes it also before its time.
        dead: owners known to be gone, whose leases are free.
    """

    owners: Sequence[str]
    seconds: float
    only: JobId | None = None
    dead: Sequence[str] = ()


@dataclass(frozen=True)
class Renewal:
    """One lease to be prolonged; `worked` seconds are booked on its job."""

    job_id: JobId
    owner: str
    worked: float


@dataclass(frozen=True)
class Due:
    """A job for which a worker is to be sent (again); `key` is that of its wake."""

    org_id: OrgId
    job_id: JobId
    key: str

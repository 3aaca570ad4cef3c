"""Organizations as the rest of the program sees them: frozen, detached from the database."""

from dataclasses import dataclass, field
from datetime import datetime

from aicd_core.ids import OrgId
from aicd_core.tenancy.organizations.models import PlanApproval
from aicd_core.tenancy.triggers import RepositoryPermission, TriggerRules


@dataclass(frozen=True)
class OrganizationView:
    """One organization as it was when it was read."""

    id: OrgId
    slug: str
    name: str
    revision: int
    created_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True)
class SettingsValues:
    """What an organization decides for all its jobs. Budgets are in micro-USD; None is no limit of its own."""

    agent: str = "dummy"
    model: str | None = None
    job_budget: int | None = None
    monthly_budget: int | None = None
    max_concurrent_jobs: int = 5
    plan_approval: PlanApproval = PlanApproval.NEVER
    allowed_bots: tuple[str, ...] = ()
    minimum_permission: RepositoryPermission = RepositoryPermission.WRITE
    issue_budget: int | None = None
    repository_budget: int | None = None

    def trigger_rules(self) -> TriggerRules:
        """Who may start work, for `may_trigger`."""
        return TriggerRules(self.allowed_bots, self.minimum_permission)


@dataclass(frozen=True)
class SettingsView:
    """An organization's settings; revision 0 says that it never edited them, so that the defaults count."""

    values: SettingsValues = field(default_factory=SettingsValues)
    revision: int = 0

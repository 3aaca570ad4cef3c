"""Tables of organizations and their settings."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, Revision, words
from aicd_core.ids import OrgId, new_uuid
from aicd_core.tenancy.triggers import RepositoryPermission


class PlanApproval(StrEnum):
    """When a person must approve a plan; a repository may ask for more, never for less."""

    NEVER = "never"
    ALWAYS = "always"


class Organization(Base):
    """A tenant. `deleted_at` is set when it was deleted and can still be brought back."""

    __tablename__ = "organizations"

    id: Mapped[OrgId] = mapped_column(primary_key=True, default=new_uuid)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    revision: Mapped[Revision]
    created_at: Mapped[Created]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug_format"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name_length"),
    )


class OrganizationSettings(Base):
    """What an organization decided for all its jobs. Budgets are in micro-USD; None is no limit of its own.

    `job_budget` is what a new job begins with; `issue_budget` is for all jobs of one issue together,
    `repository_budget` for each repository in a month, `monthly_budget` for the organization in a month.
    `allowed_bots` are the logins of bots that may start work, `minimum_permission` what a person needs on the
    repository.
    """

    __tablename__ = "organization_settings"

    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    agent: Mapped[str]
    model: Mapped[str | None]
    job_budget: Mapped[int | None] = mapped_column(BigInteger)
    issue_budget: Mapped[int | None] = mapped_column(BigInteger)
    repository_budget: Mapped[int | None] = mapped_column(BigInteger)
    monthly_budget: Mapped[int | None] = mapped_column(BigInteger)
    max_concurrent_jobs: Mapped[int]
    plan_approval: Mapped[PlanApproval] = mapped_column(words(PlanApproval, "plan_approval"))
    allowed_bots: Mapped[tuple[str, ...]] = mapped_column(ARRAY(Text(), as_tuple=True), server_default="{}")
    minimum_permission: Mapped[RepositoryPermission] = mapped_column(
        words(RepositoryPermission, "minimum_permission"), server_default=RepositoryPermission.WRITE.value
    )
    revision: Mapped[Revision]

    __table_args__ = (
        CheckConstraint("max_concurrent_jobs BETWEEN 1 AND 1000", name="concurrency"),
        CheckConstraint("job_budget >= 0 AND monthly_budget >= 0", name="budgets"),
        CheckConstraint("issue_budget >= 0 AND repository_budget >= 0", name="shared_budgets"),
        CheckConstraint("cardinality(allowed_bots) <= 100", name="bots"),
        CheckConstraint("minimum_permission NOT IN ('none', 'read')", name="trusted_permission"),
    )

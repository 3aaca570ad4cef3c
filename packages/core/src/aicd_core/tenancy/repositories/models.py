"""Table of repositories."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, Revision, TenantOwned
from aicd_core.ids import InstallationId, OrgId, RepositoryId, new_uuid


class Repository(TenantOwned, Base):
    """A repository that jobs may run on. `source` is its clone URL, or an absolute path on this machine.

    Its budgets are in micro-USD: for all jobs of one issue, and for the repository in a month. They can only be tighter
    than the organization's; None is no limit of its own. `external_id` is the code host's number, which a new name does
    not change. `base_branch`: what jobs that the host starts are based on; None is its default branch.
    """

    __tablename__ = "repositories"

    id: Mapped[RepositoryId] = mapped_column(primary_key=True, default=new_uuid)
    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"))
    source: Mapped[str]
    installation_id: Mapped[InstallationId | None]
    enabled: Mapped[bool] = mapped_column(default=True, server_default="true")
    issue_budget: Mapped[int | None] = mapped_column(BigInteger)
    monthly_budget: Mapped[int | None] = mapped_column(BigInteger)
    external_id: Mapped[int | None] = mapped_column(BigInteger)
    base_branch: Mapped[str | None]
    revision: Mapped[Revision] = mapped_column(server_default="1")
    created_at: Mapped[Created]
    disconnected_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("org_id", "source"),
        UniqueConstraint("org_id", "id"),
        ForeignKeyConstraint(["org_id", "installation_id"], ["installations.org_id", "installations.id"]),
        Index("ix_repositories_page", "org_id", text("id DESC")),
        Index(
            "ix_repositories_installation",
            "org_id",
            "installation_id",
            postgresql_where=text("installation_id IS NOT NULL"),
        ),
        Index(
            "uq_repositories_external",
            "org_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        CheckConstraint("char_length(source) BETWEEN 1 AND 4096", name="source_length"),
        CheckConstraint("issue_budget >= 0 AND monthly_budget >= 0", name="budgets"),
    )

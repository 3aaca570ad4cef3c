"""Table of installations."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, TenantOwned
from aicd_core.ids import InstallationId, OrgId, new_uuid


class Installation(TenantOwned, Base):
    """An installation on a code host: `host` is its API's base URL, `external_id` its number there.

    `reported_at` is the host's own time of what it last said; older words that come late change nothing. A removed one
    stays: its number is never given to another.
    """

    __tablename__ = "installations"

    id: Mapped[InstallationId] = mapped_column(primary_key=True, default=new_uuid)
    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"))
    host: Mapped[str]
    external_id: Mapped[int] = mapped_column(BigInteger)
    account: Mapped[str]
    created_at: Mapped[Created]
    suspended_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    reported_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("org_id", "id"),
        Index(
            "uq_installations_present",
            "host",
            "external_id",
            unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index("ix_installations_external", "host", "external_id"),
        Index("ix_installations_page", "org_id", text("id DESC")),
    )

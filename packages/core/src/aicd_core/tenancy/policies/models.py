"""Table of policies: every version is kept, the newest counts."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, TenantOwned
from aicd_core.ids import OrgId, PolicyId, UserId, new_uuid


class Policy(TenantOwned, Base):
    """One version of an organization's rules; never changed once it is written."""

    __tablename__ = "policies"

    id: Mapped[PolicyId] = mapped_column(primary_key=True, default=new_uuid)
    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"))
    version: Mapped[int]
    rules: Mapped[dict[str, Any]] = mapped_column(JSONB)
    note: Mapped[str]
    created_by: Mapped[UserId | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[Created]

    __table_args__ = (
        UniqueConstraint("org_id", "version"),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("char_length(note) <= 1000", name="note_length"),
    )

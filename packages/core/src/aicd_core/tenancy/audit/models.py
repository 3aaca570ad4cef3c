"""Table of the audit log."""

from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, TenantOwned, words
from aicd_core.ids import OrgId


class ActorKind(StrEnum):
    """What kind of somebody acted."""

    USER = "user"
    API_KEY = "api_key"
    SYSTEM = "system"


class AuditEntry(TenantOwned, Base):
    """One act. `actor_id` and `target_id` are ids as text, since what they name may be gone by now."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"))
    actor_kind: Mapped[ActorKind] = mapped_column(words(ActorKind, "actor_kind"))
    actor_id: Mapped[str]
    action: Mapped[str]
    target_kind: Mapped[str]
    target_id: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[Created]

    __table_args__ = (
        Index("ix_audit_log_page", "org_id", text("id DESC")),
        CheckConstraint("char_length(action) BETWEEN 1 AND 100", name="action_length"),
    )

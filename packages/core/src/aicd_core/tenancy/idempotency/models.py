"""Table of requests that were named by their callers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, TenantOwned
from aicd_core.ids import OrgId


class NamedRequest(TenantOwned, Base):
    """A request under the name that its caller gave it, of which only the SHA-256 is kept.

    `fingerprint` says what was asked for, `claim` who is at work on it until `claimed_until`. `done` is set by the
    transaction that carries it out; the answer comes after that, encrypted, for it may hold a secret.
    """

    __tablename__ = "named_requests"

    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    caller: Mapped[str] = mapped_column(primary_key=True)
    name_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    claim: Mapped[UUID] = mapped_column(Uuid)
    claimed_until: Mapped[datetime]
    done: Mapped[bool]
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]

    __table_args__ = (Index("ix_named_requests_expiry", "org_id", "expires_at"),)

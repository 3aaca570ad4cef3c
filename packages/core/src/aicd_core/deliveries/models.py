"""Table of deliveries."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, words
from aicd_core.ids import DeliveryId, OrgId, new_uuid


class DeliveryState(StrEnum):
    """How far the handling of a delivery has come: one that is received waits or is being handled, the rest is over."""

    RECEIVED = "received"
    HANDLED = "handled"
    IGNORED = "ignored"
    FAILED = "failed"


class Delivery(Base):
    """One verified message. `org_id` is unknown until it is routed; unrouted ones are the system role's alone.

    `installation` is the code host's number of the installation that it came through, `subject` names what it is about:
    deliveries of one subject are handled one after the other, in the order of `id`. From `due_at` on it may be taken;
    taking it moves that time on. `code` and `reason` say why it was ignored, or what went wrong last. `traceparent` is
    the span that took it in (W3C Trace Context), where that is traced.
    """

    __tablename__ = "deliveries"

    id: Mapped[DeliveryId] = mapped_column(primary_key=True, default=new_uuid)
    org_id: Mapped[OrgId | None] = mapped_column(ForeignKey("organizations.id"))
    source: Mapped[str]
    external_id: Mapped[str]
    event: Mapped[str]
    installation: Mapped[int | None] = mapped_column(BigInteger)
    subject: Mapped[str | None]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[DeliveryState] = mapped_column(words(DeliveryState, "state"))
    attempts: Mapped[int] = mapped_column(default=0)
    code: Mapped[str | None]
    reason: Mapped[str | None]
    received_at: Mapped[Created]
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    handled_at: Mapped[datetime | None]
    traceparent: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        UniqueConstraint("source", "body_hash"),
        Index("ix_deliveries_waiting", "id", postgresql_where=text("state = 'received'")),
        Index("ix_deliveries_subject", "source", "subject", "id", postgresql_where=text("state = 'received'")),
        Index("ix_deliveries_done", "handled_at", postgresql_where=text("state IN ('handled', 'ignored')")),
        Index("ix_deliveries_page", "org_id", text("id DESC")),
    )

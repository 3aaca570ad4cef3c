"""Table of deliveries."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, words
from aicd_core.ids import DeliveryId, OrgId, new_uuid


class DeliveryState(StrEnum):
    """How far the handling of a delivery has come."""

    RECEIVED = "received"
    HANDLED = "handled"
    IGNORED = "ignored"
    FAILED = "failed"


class Delivery(Base):
    """One verified message. `org_id` is unknown until it is routed; unrouted ones are the system role's alone."""

    __tablename__ = "deliveries"

    id: Mapped[DeliveryId] = mapped_column(primary_key=True, default=new_uuid)
    org_id: Mapped[OrgId | None] = mapped_column(ForeignKey("organizations.id"))
    source: Mapped[str]
    external_id: Mapped[str]
    event: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[DeliveryState] = mapped_column(words(DeliveryState, "state"))
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
    received_at: Mapped[Created]
    handled_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        UniqueConstraint("source", "body_hash"),
        Index("ix_deliveries_waiting", "id", postgresql_where=text("state = 'received'")),
        Index("ix_deliveries_done", "handled_at", postgresql_where=text("state IN ('handled', 'ignored')")),
        Index("ix_deliveries_page", "org_id", text("id DESC")),
    )

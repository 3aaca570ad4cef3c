"""Table of standings."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import TenantOwned
from aicd_core.ids import OrgId


class StandingRow(TenantOwned, Base):
    """How an organization stands; one without a row may have all work done.

    With a `code`, no work is done for it: no job begins, and none is gone on with. In a month of UTC that begins on
    `since`, at most `pull_requests` may be opened for it; jobs that may still open one count. `reason` and
    `limit_reason` say it in sentences, and what lifts it. What its jobs cost in the month is held at `cost_limit`, in
    micro-USD, as at a budget of its own.
    """

    __tablename__ = "standings"

    org_id: Mapped[OrgId] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    code: Mapped[str | None]
    reason: Mapped[str | None]
    pull_requests: Mapped[int | None]
    limit_code: Mapped[str | None]
    limit_reason: Mapped[str | None]
    cost_limit: Mapped[int | None] = mapped_column(BigInteger)
    since: Mapped[datetime]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        CheckConstraint("(code IS NULL) = (reason IS NULL)", name="stopped_why"),
        CheckConstraint(
            "(pull_requests IS NULL) = (limit_code IS NULL) AND (limit_code IS NULL) = (limit_reason IS NULL)",
            name="limited_why",
        ),
        CheckConstraint("pull_requests >= 0", name="pull_requests"),
    )

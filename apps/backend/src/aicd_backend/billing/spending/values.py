"""What charges come to. Prices are in 10^-12 US dollars (`pico_usd`)."""

from dataclasses import dataclass
from datetime import datetime

from aicd_core.ids import JobId
from aicd_core.usage.billing.models import ChargeKind


@dataclass(frozen=True)
class MeterSum:
    """The charges of one meter: so many units, so many of them to be paid; and what credit paid."""

    meter: str
    quantity: int
    billable: int
    pico_usd: int
    credit_pico_usd: int


@dataclass(frozen=True)
class ChargeView:
    """One charge."""

    id: int
    job_id: JobId
    kind: ChargeKind
    meter: str
    plan: str
    quantity: int
    billable: int
    unit_pico_usd: int
    credit_pico_usd: int
    occurred_at: datetime

    @property
    def pico_usd(self) -> int:
        """What is to be paid for it."""
        return self.billable * self.unit_pico_usd


def micro_usd(pico_usd: int) -> int:
    """Whole micro-USD, rounded up: less than one still is something."""
    return -(-pico_usd // 1_000_000)

"""Meter events on their way to Stripe: each counted once, whatever happens on the way."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import uuid4

from aicd_backend.billing.exports import repository as exports
from aicd_backend.billing.stripe_api import StripeApi
from aicd_backend.billing.stripe_faults import Busy, Duplicate, NotAllowed, Refused, StripeFault, Unheard
from aicd_backend.billing.values import Export, Setback
from aicd_core.db.database import SystemDatabase

log = logging.getLogger(__name__)

OLDEST, NEWEST = timedelta(days=35), timedelta(minutes=5)
"""How old, and how far ahead, a meter event may be: https://docs.stripe.com/api/billing/meter-event/create."""
SLACK = timedelta(minutes=2)
"""Our clock and Stripe's may differ by so much."""
REMEMBERED = timedelta(hours=23)
"""Stripe knows an identifier for a day at least; one that may have been taken longer ago is not sent again blindly."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 600.0
"""Seconds until a meter event is tried again; twice as long each time."""
AT_ONCE = 20
"""Meter events of one customer and meter that are claimed together; they are sent one after the other."""


class Pace:
    """At most so many calls a second, evenly."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self._next = 0.0

    async def turn(self) -> None:
        """Waits until the next call may begin."""
        now = asyncio.get_running_loop().time()
        at, self._next = max(now, self._next), max(now, self._next) + self._gap
        await asyncio.sleep(at - now)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Sender:
    """Sends what is due. Any number of processes may; each claims what it sends for `lease` at a time.

    Args:
        rate: calls a second of this process.
        lease: longer than a call can take: what a process that died had claimed is sent by another after that.
    """

    system: SystemDatabase
    api: StripeApi
    rate: float = 50.0
    lease: timedelta = timedelta(minutes=2)
    clock: Callable[[], datetime] = _utc_now
    owner: str = field(default_factory=lambda: f"exporter-{uuid4()}")

    async def send_due(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Sends what is due until nothing is, Stripe is in trouble, or `stopped`; how many Stripe has now.

        Raises:
            NotAllowed: the key is no good, or Stripe does not let it send; nothing is lost.
        """
        pace, sent, well = Pace(self.rate), 0, True
        while well and not stopped():
            now = self.clock()
            async with self.system.write() as session:
                claimed = await exports.claim(session, self.api.mode, self.owner, now + self.lease, now, AT_ONCE)
            if not claimed:
                break
            claimed.sort(key=_stream)
            streams = [[*same] for _, same in groupby(claimed, key=_stream)]
            done = await asyncio.gather(
                *(self._send_stream(stream, pace, now, stopped) for stream in streams), return_exceptions=True
            )
            for one in done:
                if isinstance(one, BaseException):
                    raise one
                sent, well = sent + one[0], well and one[1]
        return sent

    async def _send_stream(
        self, stream: list[Export], pace: Pace, claimed_at: datetime, stopped: Callable[[], bool]
    ) -> tuple[int, bool]:
        """Sends events of one customer and meter, one after the other; after one that has to wait, all wait.

        Returns:
            how many were sent, and whether none has to wait.
        """
        sent, well = 0, True
        for export in stream:
            in_time = self.clock() < claimed_at + self.lease / 2
            if not well or not in_time or stopped():
                async with self.system.write() as session:
                    await exports.let_go(session, export.id, self.owner, export.first_attempt_at)
                continue
            setback = early(export, self.clock())
            if setback is None:
                await pace.turn()
                setback = await self._try(export)
            async with self.system.write() as session:
                if setback is None:
                    sent += await exports.mark_sent(session, export.id, self.owner, self.clock())
                else:
                    await exports.set_back(session, export.id, self.owner, setback)
            if setback is not None:
                well = setback.due_at is None
                told = log.error if setback.due_at is None else log.warning
                told("meter event %s (%s): %s: %s", export.id, export.meter, setback.code, setback.reason)
        return sent, well

    async def _try(self, export: Export) -> Setback | None:
        try:
            await self.api.send_event(
                export.meter, export.identifier, export.customer, export.quantity, export.occurred_at
            )
        except Duplicate:
            return None
        except NotAllowed:
            async with self.system.write() as session:
                await exports.let_go(session, export.id, self.owner, export.first_attempt_at)
            raise
        except StripeFault as fault:
            return setback_of(export, fault, self.clock())
        return None


def _stream(export: Export) -> tuple[str, str]:
    return (str(export.org_id), export.meter)


def early(export: Export, now: datetime) -> Setback | None:
    """Why an event is not even tried now, if so."""
    begun = export.first_attempt_at
    if begun is not None and now - begun > REMEMBERED:
        why = (
            f"It was tried since {begun:%Y-%m-%d %H:%M} UTC without an answer, and Stripe may have forgotten it: sent "
            "again it could count twice. Compare the day with `aicd billing reconcile`; if Stripe has not counted it, "
            "`aicd billing resend` it."
        )
        return Setback("uncertain", why, None, begun)
    if export.occurred_at < now - OLDEST + SLACK:
        why = "It is older than Stripe takes (35 days). Charge it by hand, on an invoice, or give it up."
        return Setback("too_old", why, None, begun)
    if export.occurred_at > now + NEWEST - SLACK:
        why = "It lies in the future: the clocks of the database and of this machine differ."
        return Setback("too_early", why, export.occurred_at - NEWEST + SLACK, begun)
    return None


def setback_of(export: Export, fault: StripeFault, now: datetime) -> Setback:
    """What follows from a call that failed: the event is tried again later, or is dead."""
    if isinstance(fault, Refused):
        return Setback(fault.code or "refused", f"Stripe refused it: {fault}", None, export.first_attempt_at)
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(export.attempts, 20)) * random.uniform(0.75, 1.25)  # noqa: S311
    if isinstance(fault, Busy):
        due = now + timedelta(seconds=fault.wait if fault.wait is not None else wait)
        return Setback("busy", str(fault), due, export.first_attempt_at)
    may_count = isinstance(fault, Unheard) and not fault.certain
    begun = export.first_attempt_at or (now if may_count else None)
    return Setback(fault.code or "no_answer", str(fault), now + timedelta(seconds=wait), begun)

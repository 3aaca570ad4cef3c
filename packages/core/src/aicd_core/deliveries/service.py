"""Storing what came in, and handling it from the store: at least once, one after the other for each subject."""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from structlog.contextvars import bound_contextvars

from aicd_core.contracts import Bell
from aicd_core.db.database import SystemDatabase
from aicd_core.deliveries import repository
from aicd_core.deliveries.values import DeliveryView, Handle, NewDelivery, Outcome, Stored, failed
from aicd_core.errors import AicdError, ErrorKind, UnavailableError
from aicd_core.telemetry.metrics import DELIVERIES, DELIVERIES_STORED, DELIVERY_LAG
from aicd_core.telemetry.tracing import SpanKind, span, traceparent
from aicd_core.text import one_line

TAKEN_SECONDS = 120.0
"""A taken delivery is nobody else's for so long; when its process was killed, another takes it then."""
HANDLING_SECONDS = 100.0
"""Deadline of one handling: before somebody else may take the delivery."""
RETRY_FOR = timedelta(days=1)
"""So long after it came in is a delivery tried while something that it needs is away."""
MOST_ATTEMPTS = 5
"""Attempts at a delivery whose handling fails for another reason."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0
"""Seconds between two attempts: doubled each time."""
REASON_MOST = 500
RING_PAUSE = 0.05
"""Seconds in which what comes in is announced by one ring."""
SWEEP_MOST = 8
"""Rings of one sweep: whoever answers goes on until nothing is due."""

_AGAIN = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.CONFLICT, ErrorKind.INTERNAL})
"""What may go better the next time; another attempt at bad input or a lacking right ends as the first did."""
_log = logging.getLogger(__name__)


async def store(system: SystemDatabase, new: NewDelivery) -> Stored:
    """Stores a verified message once, however often and under whatever id it comes; it is committed on return.

    Sent again under its id, one that had failed, or was nobody's, is handled anew.

    Raises:
        UnavailableError: Postgres is away, and nothing is known to be stored.
    """
    stored = await _insert_or_reopen(system, replace(new, traceparent=traceparent()))
    DELIVERIES_STORED.labels(new.source, stored.value).inc()
    return stored


async def _insert_or_reopen(system: SystemDatabase, new: NewDelivery) -> Stored:
    if await repository.insert_delivery(system.courier(), new):
        return Stored.NEW
    async with system.write() as session:
        return Stored.REOPENED if await repository.reopen_delivery(session, new) else Stored.REPEATED


async def sweep(system: SystemDatabase, bell: Bell) -> None:
    """Rings for deliveries that are due: their ring was lost, their time has come again, or their process died."""
    async with system.read() as session:
        due = await repository.count_due(session, SWEEP_MOST)
    for _ in range(due):
        await bell.ring()


class Announcer:
    """Rings for what was stored, once for all that comes in within a moment; the sweep finds what was not announced."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._wanted = False
        self._ringing: asyncio.Task[None] | None = None

    def announce(self) -> None:
        """Has the bell rung soon."""
        self._wanted = True
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring())

    async def close(self) -> None:
        """Rings for what is not announced yet."""
        if self._ringing is not None:
            await asyncio.wait({self._ringing})

    async def _ring(self) -> None:
        while self._wanted:
            await asyncio.sleep(RING_PAUSE)
            self._wanted = False
            try:
                await self._bell.ring()
            except UnavailableError as error:
                _log.warning("nobody was sent to the deliveries; the sweep will: %s", error)


class DeliveryWorker:
    """Handles deliveries whenever the bell rings.

    Args:
        handlers: by source, what each delivery's outcome comes from.
    """

    def __init__(self, system: SystemDatabase, bell: Bell, handlers: Mapping[str, Handle]) -> None:
        self._system = system
        self._bell = bell
        self._handlers = handlers
        self._stopping = False

    async def run(self) -> None:
        """Works until stopped or cancelled; raises as `Bell.run`."""
        await self._bell.run(self.work)

    async def stop(self) -> None:
        """Takes no more deliveries; `run` returns as soon as those at work are done."""
        self._stopping = True
        await self._bell.stop()

    async def sweep(self) -> None:
        """As the function of that name: the chore."""
        await sweep(self._system, self._bell)

    async def work(self) -> None:
        """Handles deliveries until none may be taken.

        Whoever ends one looks for the next, so one that had to wait for it is not forgotten.
        """
        sources = tuple(self._handlers)
        while not self._stopping:
            delivery = await repository.take_delivery(self._system.courier(), sources, TAKEN_SECONDS)
            if delivery is None:
                return
            with bound_contextvars(delivery=delivery.external_id):
                await self._handle(delivery)

    async def _handle(self, delivery: DeliveryView) -> None:
        if delivery.attempts > 1 and _is_old(delivery):  # whoever took it was killed again and again
            await self._finish(delivery, failed("given_up", "It was not done within a day of its coming in."))
            return
        began = time.monotonic()
        try:
            async with asyncio.timeout(HANDLING_SECONDS):
                outcome = await self._traced(delivery)
        except asyncio.CancelledError:
            with suppress(AicdError):
                await asyncio.shield(self._postpone(delivery, 0.0, None, None))
            raise
        except Exception as error:  # noqa: BLE001 # one delivery's trouble is no other's
            await self._mind(delivery, error)
        else:
            await self._finish(delivery, outcome)
            _log.info(
                "delivery %s (%s) %s in %.0f ms%s",
                *(delivery.external_id, delivery.event, outcome.state.value, 1000 * (time.monotonic() - began)),
                f": {outcome.reason}" if outcome.reason else "",
            )

    async def _traced(self, delivery: DeliveryView) -> Outcome:
        about: dict[str, Any] = {"aicd.delivery": delivery.external_id, "aicd.attempt": delivery.attempts}
        name = f"delivery {delivery.event}"
        with span(name, about, kind=SpanKind.CONSUMER, parent=delivery.traceparent) as told:
            outcome = await self._handlers[delivery.source](delivery)
            told.set_attribute("aicd.outcome", outcome.code or outcome.state.value)
        return outcome

    async def _mind(self, delivery: DeliveryView, error: Exception) -> None:
        """Decides whether a delivery whose handling raised is tried again."""
        code, reason = _told(error)
        if _is_final(delivery, error):
            _log.error("delivery %s (%s) failed: %s", delivery.external_id, delivery.event, reason, exc_info=error)
            await self._finish(delivery, failed(code, reason))
            return
        pause = min(FIRST_PAUSE * 2 ** min(delivery.attempts - 1, 10), LONGEST_PAUSE)
        _log.warning(
            "delivery %s (%s) is tried again in %g s: %s",
            *(delivery.external_id, delivery.event, pause, reason),
            exc_info=None if isinstance(error, AicdError | TimeoutError) else error,
        )
        await self._postpone(delivery, pause, code, reason)

    async def _finish(self, delivery: DeliveryView, outcome: Outcome) -> None:
        async with self._system.write() as session:
            if not await repository.finish_delivery(session, delivery, outcome):
                _log.warning("delivery %s was taken by somebody else meanwhile", delivery.external_id)
                return
        DELIVERIES.labels(delivery.source, outcome.state.value).inc()
        DELIVERY_LAG.labels(delivery.source).observe((datetime.now(UTC) - delivery.received_at).total_seconds())

    async def _postpone(self, delivery: DeliveryView, seconds: float, code: str | None, reason: str | None) -> None:
        async with self._system.write() as session:
            await repository.postpone_delivery(session, delivery, seconds, code, reason)
        DELIVERIES.labels(delivery.source, "postponed").inc()


def _is_final(delivery: DeliveryView, error: Exception) -> bool:
    kind = error.kind if isinstance(error, AicdError) else ErrorKind.INTERNAL
    if kind is ErrorKind.UNAVAILABLE:
        return _is_old(delivery)
    return kind not in _AGAIN or delivery.attempts >= MOST_ATTEMPTS


def _is_old(delivery: DeliveryView) -> bool:
    return datetime.now(UTC) - delivery.received_at > RETRY_FOR


def _told(error: Exception) -> tuple[str, str]:
    """A code and a sentence that Postgres can store; of an error of ours no text, which could hold a secret."""
    if isinstance(error, AicdError):
        return error.code, one_line(error.message, REASON_MOST)
    if isinstance(error, TimeoutError):
        return "timeout", f"It was not done within {HANDLING_SECONDS:g} s."
    return "internal", f"Unexpected {type(error).__name__}; the worker's log has more. This is a defect of aicd."

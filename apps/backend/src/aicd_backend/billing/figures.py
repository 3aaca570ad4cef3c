"""Billing's own figures for Prometheus, beside core's. docs/billing.md has their table."""

from prometheus_client import Counter, Gauge

from aicd_backend.billing.events import repository as events
from aicd_backend.billing.exports import repository as exports
from aicd_backend.settings import BackendSettings
from aicd_core.db.sessions import SystemReadSession
from aicd_core.monitoring.probes import PROBES
from aicd_core.monitoring.values import Figure, Probe, Reading
from aicd_core.telemetry.metrics import REGISTRY
from aicd_core.usage.billing.models import EventState

WAITING = Figure("aicd_billing_exports_waiting", "Meter events that Stripe does not have yet.")
OLDEST = Figure("aicd_billing_exports_oldest_seconds", "How long ago the oldest of them was made.")
DEAD = Figure("aicd_billing_exports_dead", "Meter events that are not sent again by themselves.")
EVENTS_OLDEST = Figure(
    "aicd_billing_events_oldest_seconds", "How long ago the oldest unhandled event of Stripe's came."
)

EVENTS = Counter("aicd_billing_events", "Events of Stripe's, by how they ended.", ("outcome",), registry=REGISTRY)
for _state in (EventState.HANDLED, EventState.IGNORED, EventState.FAILED):
    EVENTS.labels(_state.value)
DIFFERING = Gauge(
    "aicd_billing_books_differing",
    "Meters of organizations whose books of the day before differ, as of the last look within the hour.",
    registry=REGISTRY,
)


async def _read(session: SystemReadSession) -> Reading:
    unsent = await exports.count_unsent(session)
    return {
        WAITING: {(): unsent.events},
        OLDEST: {(): unsent.oldest},
        DEAD: {(): await exports.count_dead(session)},
        EVENTS_OLDEST: {(): await events.oldest_waiting(session)},
    }


PROBE = Probe((WAITING, OLDEST, DEAD, EVENTS_OLDEST), _read)


def probes_of(settings: BackendSettings) -> tuple[Probe, ...]:
    """What is told of the whole installation: billing's too, where it is on."""
    return PROBES if settings.stripe_key is None else (*PROBES, PROBE)

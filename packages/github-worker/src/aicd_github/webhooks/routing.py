"""From a stored delivery to the handler of its event and action: routes are data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from pydantic import ValidationError

from aicd_core.deliveries.models import DeliveryState
from aicd_core.deliveries.values import HANDLED, UNROUTED, DeliveryView, Outcome, failed, ignored
from aicd_core.tenancy import Tenant
from aicd_core.text import one_line
from aicd_github.webhooks.events import KINDS, Event, PingEvent
from aicd_github.webhooks.payload import parse
from aicd_github.webhooks.tenants import Tenants

EventT = TypeVar("EventT", bound=Event)
EventT_contra = TypeVar("EventT_contra", bound=Event, contravariant=True)


@dataclass(frozen=True)
class Arrival:
    """What a handler knows besides the event.

    Args:
        delivery: `id` names it for good, for the idempotency of effects; deliveries of a subject come in the order in
            which they were received, which need not be the order in which things happened: `Event.occurred_at` is.
        tenant: whose it is.
    """

    delivery: DeliveryView
    tenant: Tenant


class Handler(Protocol[EventT_contra]):
    """Does what an event asks for.

    It is called at least once for each delivery, again after a crash or when it raised (UnavailableError: for a day),
    so each of its effects is found again before it is repeated. It has `HANDLING_SECONDS`, and returns `HANDLED`, or
    `ignored(…)` with the reason.
    """

    async def __call__(self, arrival: Arrival, event: EventT_contra, /) -> Outcome: ...


@dataclass(frozen=True)
class Route(Generic[EventT]):
    """One handler, and the actions of an event that it is for; an event without actions has the action None."""

    kind: type[EventT]
    actions: Iterable[str | None]
    handler: Handler[EventT]


class Router:
    """A `Handle` for GitHub's deliveries.

    Args:
        routes: what is handled; several for the same event and action are called in this order.
        remembered: so long are deliveries kept. What happened earlier is not acted on: its delivery, handled then, may
            have been forgotten, and this one be a replay.
    """

    def __init__(self, tenants: Tenants, routes: Iterable[Route[Any]], remembered: timedelta) -> None:
        self._tenants = tenants
        self._remembered = remembered
        self._handlers = _table(routes)

    async def __call__(self, delivery: DeliveryView) -> Outcome:
        """How the delivery ends; raises what its handler raises."""
        kind = KINDS.get(delivery.event)
        if kind is None:
            return ignored("unknown_event", f"Nothing is done on {delivery.event}.")
        try:
            event = kind.model_validate(parse(delivery.body))
        except ValidationError as error:
            return failed("unreadable_payload", _faults(error))
        if isinstance(event, PingEvent):
            return HANDLED
        handlers = self._handlers.get((delivery.event, event.action), ())
        if not handlers:
            return ignored("unknown_action", f"Nothing is done on {delivery.event}, {one_line(str(event.action), 40)}.")
        if event.occurred_at and event.occurred_at < datetime.now(UTC) - self._remembered:
            return ignored("too_old", f"It happened on {event.occurred_at:%Y-%m-%d}: too long ago to be acted on.")
        tenant = await self._tenants.of(event)
        if tenant is None:
            return ignored(UNROUTED, _nobodys(event))
        outcomes = [await handler(Arrival(delivery, tenant), event) for handler in handlers]
        # Handled when anybody did something; what one of them had no use for is no news then.
        outcome = next((each for each in outcomes if each.state is not DeliveryState.IGNORED), outcomes[0])
        return Outcome(outcome.state, outcome.code, outcome.reason, tenant.org_id)


def _table(routes: Iterable[Route[Any]]) -> Mapping[tuple[str, str | None], list[Handler[Any]]]:
    found: dict[tuple[str, str | None], list[Handler[Any]]] = {}
    for route in routes:
        for action in route.actions:
            found.setdefault((route.kind.of, action), []).append(route.handler)
    return found


def _nobodys(event: Event) -> str:
    account = one_line(event.account or "?", 60)
    return (
        f"No organization takes the installation of {account}. If it is yours, add {account} to AICD_GITHUB_ACCOUNTS, "
        "restart the workers, and have GitHub deliver this again."
    )


def _faults(error: ValidationError) -> str:
    """Where the payload is not as it should be, without what is in it."""
    faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return one_line("; ".join(faults), 400)

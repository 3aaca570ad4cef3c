"""Arguments for the isolation test's calls of billing's repository functions: see tests/isolation_functions.py.

`who` is that test's `Who`: one tenant's ids, and words that only its rows hold.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from aicd_backend.billing.caps.values import Caps, Warned
from aicd_backend.billing.events.values import Ended, EventView, NewEvent
from aicd_backend.billing.subscriptions.values import ProviderState
from aicd_backend.billing.values import Comparison, NewCharge, NewExport, Setback
from aicd_core.ids import ExportId
from aicd_core.usage.billing.models import AccountStatus, BillingMode, ChargeKind, EventState, ExportState

Recipe = Callable[[Any], Any]
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
"""When the rows of the test's world are of."""
_FIRST_ROWS = {"acme": 1, "rival": 2}
"""Numbers that the database gives to the first row of either tenant."""


def _charge(who: Any) -> NewCharge:
    parts = (who.ids["job"], ChargeKind.PULL_REQUEST, who.word("new charge"), who.word("meter"), "per_token")
    return NewCharge(*parts, quantity=1, billable=1, unit_pico_usd=1, credit_pico_usd=0, occurred_at=NOW)


def _event(who: Any) -> EventView:
    number = _FIRST_ROWS.get(who.name, who.number)
    return EventView(number, BillingMode.TEST, who.word("event"), "invoice.paid", who.word("customer"), b"{}", 0)


def _export(who: Any) -> ExportId:
    return ExportId(who.ids["export"])


BY_TYPE: dict[Any, Recipe] = {
    ExportId: _export,
    Warned: lambda who: Warned(soft=50, hard=who.number % 100),
    Caps: lambda who: Caps(soft=1, hard=who.number + 1),
    NewEvent: lambda who: NewEvent(BillingMode.TEST, who.word("new event"), "invoice.paid", None, b"{}", NOW),
    EventView: _event,
    Ended: lambda _: Ended(EventState.HANDLED),
    ProviderState: lambda who: ProviderState(who.word("subscription"), "per_token", AccountStatus.ACTIVE),
    NewExport: lambda who: NewExport(
        BillingMode.TEST, who.word("customer"), who.word("meter"), who.word("new identifier"), 1, 1, NOW
    ),
    Setback: lambda who: Setback("busy", who.word("reason"), NOW, None),
    Comparison: lambda who: Comparison(NOW.date(), who.word("meter"), 1, 1, 1, 1, None),
    date: lambda _: NOW.date(),
}

_BILLING = "aicd_backend.billing"
BY_FUNCTION: dict[tuple[str, str], Recipe] = {
    (f"{_BILLING}.accounts.*", "plan"): lambda _: "free",
    (f"{_BILLING}.accounts.*", "credit_pico_usd"): lambda _: 5,
    (f"{_BILLING}.accounts.*", "pico_usd"): lambda _: 5,
    (f"{_BILLING}.adjustments.*", "pico_usd"): lambda _: 5,
    (f"{_BILLING}.adjustments.*", "made_by"): lambda who: who.word("maker"),
    (f"{_BILLING}.charges.*", "subjects"): lambda who: (who.word("charge"),),
    (f"{_BILLING}.charges.*", "charges"): lambda who: (_charge(who),),
    (f"{_BILLING}.charges.*", "charge_ids"): lambda who: (_FIRST_ROWS.get(who.name, who.number),),
    (f"{_BILLING}.accounts.find_customer", "customer"): lambda who: who.word("customer"),
    (f"{_BILLING}.exports.*", "identifiers"): lambda who: (who.word("identifier"),),
    (f"{_BILLING}.exports.list_exports", "only"): lambda _: ExportState.SENT,
    (f"{_BILLING}.exports.*", "exports"): lambda who: (_export(who),),
    # Nobody's: of one that a rival has, only the provider's own answer speaks.
    (f"{_BILLING}.subscriptions.*", "customer"): lambda _: "cus_new",
    (f"{_BILLING}.subscriptions.*", "before"): lambda _: None,
}

_DEAD = "UPDATE billing_exports SET state = 'dead', sent_at = NULL WHERE org_id = :org"
BEFORE = {
    f"{_BILLING}.accounts.insert_account": "DELETE FROM billing_accounts WHERE org_id = :org",
    f"{_BILLING}.accounts.release_disputes": "UPDATE billing_accounts SET disputed_at = now() WHERE org_id = :org",
    f"{_BILLING}.subscriptions.set_customer": "UPDATE billing_accounts SET customer = NULL WHERE org_id = :org",
    f"{_BILLING}.exports.revive": _DEAD,
}

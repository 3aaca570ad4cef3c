"""What things cost on a plan: pure, so that every ledger can be tried on it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from aicd_backend.billing.plans import PULL_REQUESTS, Plan, Plans, TokenKind, token_meter
from aicd_backend.billing.values import NewCharge, OpenedPullRequest, Terms, TokenUse
from aicd_core.ids import JobId
from aicd_core.usage.billing.models import ChargeKind


def month_of(at: datetime) -> date:
    """The first day of a moment's month of UTC."""
    return at.astimezone(UTC).date().replace(day=1)


def charges_for(
    plans: Plans, terms: Terms, things: Iterable[OpenedPullRequest | TokenUse]
) -> tuple[list[NewCharge], Terms]:
    """The charges of things in the order in which they happened, and the terms for what comes next.

    Everything that the plan prices has a charge, also where nothing of it is to be paid: for the ledger's counts and
    the charges' to be compared. What the plan does not price has none.

    Raises:
        InvalidInputError: `no_such_plan`.
    """
    plan, charges = plans.of(terms.plan), []
    for thing in things:
        for part in _parts(plans, plan, thing):
            charge, terms = _charge(plan, terms, part)
            charges.append(charge)
    return charges, terms


def token_subjects(use: TokenUse) -> list[str]:
    """The subjects of an entry's charges, one for each kind of tokens that it has."""
    return [_subject(use, kind) for kind in TokenKind if kind.of(use.usage)]


def _subject(use: TokenUse, kind: TokenKind) -> str:
    return f"{use.entry_id}/{kind.value}"


@dataclass(frozen=True)
class _Part:
    job_id: JobId
    kind: ChargeKind
    subject: str
    meter: str
    quantity: int
    at: datetime


def _parts(plans: Plans, plan: Plan, thing: OpenedPullRequest | TokenUse) -> Iterator[_Part]:
    if isinstance(thing, OpenedPullRequest):
        if plan.pull_requests is not None:
            yield _Part(thing.job_id, ChargeKind.PULL_REQUEST, str(thing.job_id), PULL_REQUESTS, 1, thing.at)
    elif plan.tokens:
        model_class = plans.class_of(thing.model)
        for kind in TokenKind:
            if count := kind.of(thing.usage):
                meter = token_meter(model_class, kind)
                yield _Part(thing.job_id, ChargeKind.TOKENS, _subject(thing, kind), meter, count, thing.at)


def _charge(plan: Plan, terms: Terms, part: _Part) -> tuple[NewCharge, Terms]:
    unit = next((meter.unit_pico_usd for meter in plan.meters() if meter.name == part.meter), 0)
    billable, month = part.quantity if unit else 0, month_of(part.at)
    if part.kind is ChargeKind.PULL_REQUEST and plan.pull_requests is not None:
        opened = terms.opened.get(month, 0)
        terms = replace(terms, opened={**terms.opened, month: opened + 1})
        billable = 0 if opened < plan.pull_requests.included else billable
    if terms.trial_end is not None and part.at < terms.trial_end:
        billable = 0
    by_credit = min(billable, terms.credit_pico_usd // unit) if unit else 0
    credit = by_credit * unit
    charge = NewCharge(
        *(part.job_id, part.kind, part.subject, part.meter, terms.plan, part.quantity, billable - by_credit),
        *(unit, credit, part.at),
    )
    return charge, replace(terms, credit_pico_usd=terms.credit_pico_usd - credit)

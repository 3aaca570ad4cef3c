"""What of billing is Stripe's: the pages to subscribe and to see to it, and invoices."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Self

from fastapi import Query
from pydantic import ConfigDict, Field

from aicd_backend.access import needs, secured_router
from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.checking_out import Cashier
from aicd_backend.billing.keeping import Keeper
from aicd_backend.billing.stripe_customers import InvoiceAt
from aicd_backend.billing.stripe_faults import Refused, StripeFault
from aicd_backend.bodies import Answer, Body
from aicd_backend.callers import Here, TenantCaller
from aicd_backend.paging import PageOf
from aicd_backend.routes.billing import BILLING, KeeperHere
from aicd_core.db.pages import MAX_PAGE
from aicd_core.errors import ConflictError, InvalidInputError, UnavailableError
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.organizations.service import require_organization
from aicd_core.tenancy.permissions import Permission

router = secured_router("billing")
MOST_SEATS = 100_000
URL_MOST = 2000
_OPENS = needs(Permission.BILLING_EDIT, once=True, refuses=(400, 409, 503))
Url = Annotated[str, Field(max_length=URL_MOST, description="At one of the front end's origins.")]


class CheckoutBody(Body):
    """Which plan is subscribed to, and where the page leads back to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "plan": "per_pull_request",
                    "success_url": "https://app.example.com/billing?done",
                    "cancel_url": "https://app.example.com/billing",
                }
            ]
        }
    )

    plan: str = Field(max_length=40)
    seats: int = Field(default=1, ge=1, le=MOST_SEATS, description="Where the plan is paid by seats.")
    success_url: Url
    cancel_url: Url


class PortalBody(Body):
    """Where the page leads back to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"return_url": "https://app.example.com/billing"}]})

    return_url: Url


class PageAnswer(Answer):
    """A page of Stripe's for a person: send the browser there."""

    url: str


class InvoiceAnswer(Answer):
    """An invoice, amounts in cents of its currency."""

    id: str
    number: str | None
    status: str = Field(examples=["paid"])
    currency: str = Field(examples=["usd"])
    total: int
    amount_due: int
    amount_paid: int
    created: datetime
    period_start: datetime | None
    period_end: datetime | None
    url: str | None = Field(description="Where it is shown and can be paid.")
    pdf: str | None

    @classmethod
    def of(cls, invoice: InvoiceAt) -> Self:
        return cls(**{name: getattr(invoice, name) for name in cls.model_fields})


@router.post(f"{BILLING}/checkout", summary="Begin to pay for a plan", **_OPENS)
async def open_checkout(here: Here, wanted: CheckoutBody, keeper: KeeperHere) -> PageAnswer:
    """The plan counts as soon as Stripe says that it is paid for, a moment after the page leads back."""
    here_keeper = _required(keeper)
    urls = [_ours(here, url) for url in (wanted.success_url, wanted.cancel_url)]
    async with here.read() as session:
        name = (await require_organization(session, here.tenant)).name
    with _told():
        cashier = Cashier(here_keeper.charger, here_keeper.api)
        url = await cashier.check_out(here.tenant, name, wanted.plan, wanted.seats, *urls)
    await _note(here, "billing.checkout_opened", wanted.plan)
    return PageAnswer(url=url)


@router.post(f"{BILLING}/portal", summary="See to cards, invoices and the subscription", **_OPENS)
async def open_portal(here: Here, back: PortalBody, keeper: KeeperHere) -> PageAnswer:
    here_keeper, return_url = _required(keeper), _ours(here, back.return_url)
    with _told():
        url = await Cashier(here_keeper.charger, here_keeper.api).open_portal(here.tenant, return_url)
    await _note(here, "billing.portal_opened", "portal")
    return PageAnswer(url=url)


@router.get(
    f"{BILLING}/invoices",
    summary="Invoices, the newest first",
    **needs(Permission.BILLING_READ, refuses=(400, 409, 503)),
)
async def list_invoices(
    here: Here,
    keeper: KeeperHere,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items at the most.")] = 20,
    cursor: Annotated[
        str | None, Query(pattern="^in_[A-Za-z0-9_]{1,100}$", description="The `next_cursor` of the page before.")
    ] = None,
) -> PageOf[InvoiceAnswer]:
    here_keeper = _required(keeper)
    async with here.read() as session:
        account = await accounts.find_account(session, here.tenant)
    if account is None or account.customer is None:
        return PageOf(items=(), next_cursor=None)
    with _told():
        found, more = await here_keeper.api.invoices(account.customer, limit, cursor)
    return PageOf(items=tuple(map(InvoiceAnswer.of, found)), next_cursor=found[-1].id if more and found else None)


def _required(keeper: Keeper | None) -> Keeper:
    if keeper is None:
        raise ConflictError(
            "This installation charges nothing: AICD_STRIPE_KEY is not set (docs/billing.md).", code="billing_off"
        )
    return keeper


def _ours(here: TenantCaller, url: str) -> str:
    """A URL of one of our front ends: Stripe would lead the browser to any."""
    if not any(
        url == origin or url.startswith((f"{origin}/", f"{origin}?")) for origin in here.stores.settings.origins
    ):
        raise InvalidInputError(
            f"{url[:100]!r} is at no origin of the front end. Lead back to a page of it.", code="bad_return_url"
        )
    return url


async def _note(here: TenantCaller, action: str, what: str) -> None:
    async with here.write() as session:
        await record(session, here.tenant, here.actor, action, "billing", what)


@contextmanager
def _told() -> Iterator[None]:
    """Stripe's faults as errors for a caller."""
    try:
        yield
    except Refused as fault:
        raise InvalidInputError(f"Stripe refuses it: {fault}", code="stripe_refused") from fault
    except StripeFault as fault:
        raise UnavailableError(
            f"Stripe did not answer as it should: {fault}. Try again.", code="stripe_unavailable"
        ) from fault

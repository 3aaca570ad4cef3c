"""What an organization pays: its plan, what the month came to, its charges and caps. No code, and no issue's text."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import Depends, Request, Response
from pydantic import ConfigDict, Field

from aicd_backend.access import needs, secured_router
from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.caps import repository as stored_caps
from aicd_backend.billing.caps.values import LEVELS, Caps, after_change, level_of
from aicd_backend.billing.forecast import forecast, window
from aicd_backend.billing.keeping import Keeper
from aicd_backend.billing.plans import PICO_PER_MICRO, Plan, Plans
from aicd_backend.billing.spending import repository as spending
from aicd_backend.billing.spending.values import ChargeView, MeterSum, micro_usd
from aicd_backend.billing.standings import month_begin, next_month
from aicd_backend.billing.values import Account
from aicd_backend.bodies import Answer, Body
from aicd_backend.callers import Here
from aicd_backend.etags import IfMatch, tag
from aicd_backend.paging import PageOf, PageQuery, page_of
from aicd_core.errors import ConflictError
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.organizations.service import MAX_BUDGET
from aicd_core.tenancy.permissions import Permission
from aicd_core.tenancy.standings.repository import find_standing
from aicd_core.usage.billing.models import AccountStatus, BillingMode, ChargeKind

router = secured_router("billing")
BILLING = "/organizations/{org}/billing"


async def _plans(request: Request) -> Plans:
    plans: Plans = request.app.state.plans
    return plans


async def _keeper(request: Request) -> Keeper | None:
    keeper: Keeper | None = request.app.state.billing
    return keeper


PlansHere = Annotated[Plans, Depends(_plans)]
KeeperHere = Annotated[Keeper | None, Depends(_keeper)]


class PriceAnswer(Answer):
    """What one unit costs; a token costs a fraction of a micro-USD, so that prices are for a million of them."""

    meter: str = Field(examples=["aicd_pull_requests"])
    title: str
    kind: ChargeKind
    micro_usd: int = Field(description="For one pull request, or for a million tokens.")


class TariffAnswer(Answer):
    """A plan and its prices."""

    name: str = Field(examples=["per_pull_request"])
    title: str
    pull_requests_included: int | None = Field(description="A month of UTC; null: they are not counted.")
    seat_micro_usd: int | None = Field(description="A month for each seat; null: none are paid.")
    trial_days: int
    credit_micro_usd: int = Field(description="Given with the first subscription.")
    prices: tuple[PriceAnswer, ...]

    @classmethod
    def of(cls, name: str, plan: Plan) -> Self:
        return cls(
            name=name,
            title=plan.title,
            pull_requests_included=plan.pull_requests.included if plan.pull_requests else None,
            seat_micro_usd=plan.seat_micro_usd,
            trial_days=plan.trial_days,
            credit_micro_usd=plan.credit_micro_usd,
            prices=tuple(
                PriceAnswer(
                    meter=meter.name,
                    title=meter.title,
                    kind=meter.kind,
                    micro_usd=micro_usd(meter.unit_pico_usd * (1 if meter.kind is ChargeKind.PULL_REQUEST else 10**6)),
                )
                for meter in plan.meters()
            ),
        )


class MeterAnswer(Answer):
    """The charges of one meter."""

    meter: str
    quantity: int = Field(description="Pull requests or tokens.")
    billable: int = Field(description="Of them, those that are not part of the plan, a trial or a credit.")
    micro_usd: int

    @classmethod
    def of(cls, one: MeterSum) -> Self:
        return cls(meter=one.meter, quantity=one.quantity, billable=one.billable, micro_usd=micro_usd(one.pico_usd))


class MonthAnswer(Answer):
    """What the present month of UTC came to so far, and will come to if it goes on as in the last days."""

    begins: datetime
    ends: datetime
    spent_micro_usd: int
    forecast_micro_usd: int
    meters: tuple[MeterAnswer, ...]


class WhyAnswer(Answer):
    """Why no work is done for the organization."""

    code: str = Field(examples=["payment_overdue"])
    reason: str


class CapsAnswer(Answer):
    """Caps of a month of UTC, in micro-USD; null is none. The soft one warns, the hard one stops all work."""

    soft_micro_usd: int | None
    hard_micro_usd: int | None
    soft_reached_percent: int = Field(description=f"The last of {LEVELS} that was reached; 0 for none.")
    hard_reached_percent: int

    @classmethod
    def of(cls, account: Account | None, spent: int) -> Self:
        soft, hard = (account.soft_cap, account.hard_cap) if account else (None, None)
        return cls(
            soft_micro_usd=soft,
            hard_micro_usd=hard,
            soft_reached_percent=level_of(spent, soft),
            hard_reached_percent=level_of(spent, hard),
        )


class BillingAnswer(Answer):
    """How an organization pays, and what it is about to pay."""

    enabled: bool = Field(description="Whether this installation charges anything at all.")
    mode: BillingMode | None
    plan: TariffAnswer
    status: AccountStatus
    grace_until: datetime | None = Field(description="A payment failed, and from then on no more work is done.")
    trial_end: datetime | None
    period_start: datetime | None = Field(description="Of what Stripe puts on the next invoice.")
    period_end: datetime | None
    credit_micro_usd: int
    month: MonthAnswer
    caps: CapsAnswer
    stopped: WhyAnswer | None


class CapsEdit(Body):
    """New caps, in micro-USD a month of UTC; null is none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"soft_micro_usd": 50_000_000, "hard_micro_usd": 100_000_000}]}
    )

    soft_micro_usd: int | None = Field(ge=0, le=MAX_BUDGET)
    hard_micro_usd: int | None = Field(ge=0, le=MAX_BUDGET)


class ChargeAnswer(Answer):
    """One charge: for a pull request, or for the tokens of one kind of one call of a model."""

    id: int
    job_id: UUID
    kind: ChargeKind
    meter: str
    plan: str
    quantity: int
    billable: int
    micro_usd: int
    credit_micro_usd: int = Field(description="What credit paid of it.")
    occurred_at: datetime

    @classmethod
    def of(cls, one: ChargeView) -> Self:
        named = {name: getattr(one, name) for name in cls.model_fields if hasattr(one, name)}
        return cls(**named, micro_usd=micro_usd(one.pico_usd), credit_micro_usd=micro_usd(one.credit_pico_usd))


@router.get(BILLING, summary="Plan, usage so far, forecast", **needs(Permission.BILLING_READ))
async def get_billing(here: Here, plans: PlansHere, keeper: KeeperHere) -> BillingAnswer:
    begin, end = month_begin(here.now), next_month(here.now)
    async with here.read() as session:
        account = await accounts.find_account(session, here.tenant)
        sums = await spending.sum_meters(session, here.tenant, begin, end)
        recent = await spending.sum_spent(session, here.tenant, window(begin, here.now), end)
        standing = await find_standing(session, here.tenant)
    spent = sum(one.pico_usd for one in sums)
    name = account.plan if account else plans.default
    stopped = standing.stopped if standing else None
    return BillingAnswer(
        enabled=keeper is not None,
        mode=account.mode if account else None,
        plan=TariffAnswer.of(name, plans.of(name)),
        status=account.status if account else AccountStatus.ACTIVE,
        grace_until=account.grace_until if account else None,
        trial_end=account.trial_end if account else None,
        period_start=account.period_start if account else None,
        period_end=account.period_end if account else None,
        credit_micro_usd=account.credit_pico_usd // PICO_PER_MICRO if account else 0,
        month=MonthAnswer(
            begins=begin,
            ends=end,
            spent_micro_usd=micro_usd(spent),
            forecast_micro_usd=micro_usd(forecast(spent, recent, begin, here.now, end)),
            meters=tuple(map(MeterAnswer.of, sums)),
        ),
        caps=CapsAnswer.of(account, spent // PICO_PER_MICRO),
        stopped=WhyAnswer(code=stopped.code, reason=stopped.reason) if stopped else None,
    )


@router.get(f"{BILLING}/plans", summary="All plans", **needs(Permission.BILLING_READ))
async def list_plans(here: Here, plans: PlansHere) -> tuple[TariffAnswer, ...]:
    del here
    return tuple(TariffAnswer.of(name, plan) for name, plan in plans.plans.items())


@router.get(f"{BILLING}/charges", summary="Charges, the newest first", **needs(Permission.BILLING_READ, refuses=(400,)))
async def list_charges(here: Here, page: PageQuery) -> PageOf[ChargeAnswer]:
    async with here.read() as session:
        return page_of(await spending.list_charges(session, here.tenant, page), ChargeAnswer.of)


@router.get(f"{BILLING}/caps", summary="Caps", **needs(Permission.BILLING_READ, tagged=True))
async def get_caps(here: Here, response: Response) -> CapsAnswer:
    async with here.read() as session:
        account = await accounts.find_account(session, here.tenant)
        spent = await spending.sum_spent(session, here.tenant, month_begin(here.now), next_month(here.now))
    tag(response, account.revision if account else 0)
    return CapsAnswer.of(account, spent // PICO_PER_MICRO)


@router.put(f"{BILLING}/caps", summary="Set both caps", **needs(Permission.BILLING_EDIT, edits=True))
async def edit_caps(
    here: Here, revision: IfMatch, edit: CapsEdit, response: Response, plans: PlansHere, keeper: KeeperHere
) -> CapsAnswer:
    """Within seconds jobs stop at a hard cap that is reached, and go on where it was raised."""
    caps, begin = Caps(edit.soft_micro_usd, edit.hard_micro_usd), month_begin(here.now)
    async with here.write() as session:
        if revision == 0:
            mode = here.stores.settings.stripe_mode
            if not await accounts.insert_account(session, here.tenant, plans.default, mode, 0, None):
                raise _stale()
        spent = await spending.sum_spent(session, here.tenant, begin, next_month(here.now)) // PICO_PER_MICRO
        made = await stored_caps.set_caps(session, here.tenant, revision or 1, caps)
        if made is None:
            raise _stale()
        warned = await stored_caps.get_warned(session, here.tenant, begin.date())
        await stored_caps.note_warned(session, here.tenant, begin.date(), after_change(spent, caps, warned))
        detail = edit.model_dump()
        await record(session, here.tenant, here.actor, "billing.caps_edited", "caps", str(here.tenant.org_id), detail)
        account = await accounts.find_account(session, here.tenant)
    if keeper is not None:
        keeper.look_at(here.tenant)
    tag(response, made)
    return CapsAnswer.of(account, spent)


def _stale() -> ConflictError:
    return ConflictError(
        "Somebody else changed the account first. Read the caps again and decide anew.", code="stale_revision"
    )

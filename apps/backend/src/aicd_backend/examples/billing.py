"""What routes of billing answer, by way of example."""

from aicd_backend.examples.common import JOB, LATER, THEN
from aicd_backend.routes.billing import (
    BillingAnswer,
    CapsAnswer,
    ChargeAnswer,
    MeterAnswer,
    MonthAnswer,
    PriceAnswer,
    TariffAnswer,
)
from aicd_backend.routes.billing_checkout import InvoiceAnswer, PageAnswer
from aicd_backend.routes.job_results import CostAnswer
from aicd_core.usage.billing.models import AccountStatus, BillingMode, ChargeKind

METER = "aicd_pull_requests"
THE_TARIFF = TariffAnswer(
    name="per_pull_request",
    title="Per pull request",
    pull_requests_included=None,
    seat_micro_usd=None,
    trial_days=14,
    credit_micro_usd=0,
    prices=(PriceAnswer(meter=METER, title="Pull requests", kind=ChargeKind.PULL_REQUEST, micro_usd=4_000_000),),
)
THE_CAPS = CapsAnswer(
    soft_micro_usd=50_000_000, hard_micro_usd=100_000_000, soft_reached_percent=0, hard_reached_percent=0
)
THE_METER = MeterAnswer(meter=METER, quantity=3, billable=3, micro_usd=12_000_000)

BILLING_ANSWERS = (
    THE_TARIFF,
    THE_CAPS,
    BillingAnswer(
        enabled=True,
        mode=BillingMode.LIVE,
        plan=THE_TARIFF,
        status=AccountStatus.ACTIVE,
        grace_until=None,
        trial_end=None,
        period_start=THEN,
        period_end=LATER,
        credit_micro_usd=0,
        month=MonthAnswer(
            begins=THEN, ends=LATER, spent_micro_usd=12_000_000, forecast_micro_usd=28_000_000, meters=(THE_METER,)
        ),
        caps=THE_CAPS,
        stopped=None,
    ),
    ChargeAnswer(
        id=7,
        job_id=JOB,
        kind=ChargeKind.PULL_REQUEST,
        meter=METER,
        plan="per_pull_request",
        quantity=1,
        billable=1,
        micro_usd=4_000_000,
        credit_micro_usd=0,
        occurred_at=THEN,
    ),
    PageAnswer(url="https://billing.stripe.com/p/session/…"),
    InvoiceAnswer(
        id="in_1",
        number="ACME-0001",
        status="paid",
        currency="usd",
        total=1200,
        amount_due=1200,
        amount_paid=1200,
        created=THEN,
        period_start=THEN,
        period_end=LATER,
        url="https://invoice.stripe.com/i/…",
        pdf=None,
    ),
    CostAnswer(
        meters=(MeterAnswer(meter=METER, quantity=1, billable=1, micro_usd=4_000_000),),
        micro_usd=4_000_000,
        credit_micro_usd=0,
    ),
)
"""One of each kind."""

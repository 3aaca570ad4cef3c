"""What is shown before it is paid: the forecast, the price of a plan, how many pull requests fit under a cap."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aicd_backend.billing.forecast import forecast, window
from aicd_backend.billing.plans import PICO_PER_MICRO, PULL_REQUESTS, Plan, Plans, PullRequestTerms
from aicd_backend.billing.quoting import Quote, price_of
from aicd_backend.billing.spending.values import MeterSum, micro_usd
from aicd_backend.billing.standings import Position, standing_of
from aicd_backend.billing.values import Account
from aicd_core.ids import OrgId, new_uuid
from aicd_core.usage.billing.models import AccountStatus, BillingMode

PLANS = Plans.load()
BEGIN, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
FIXED = Plan(title="Fixed", pull_requests=PullRequestTerms(included=2, price_micro_usd=5_000_000))
BOTH = PLANS.of("per_token").model_copy(update={"pull_requests": FIXED.pull_requests})
TOKENS = MeterSum("aicd_medium_input_tokens", 1000, 1000, 3_600_000_000, 0)
OPENED = MeterSum(PULL_REQUESTS, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("day", "spent", "recent", "expected"),
    [
        (10, 900, 700, 900 + 700 * 20 // 7),  # a week's rate for the 20 days that are left, not the month's
        (10, 900, 0, 900),  # nothing in the last week: it stays as it is
        (3, 300, 300, 3000),  # the month is younger than a week
        (0.25, 100, 100, 100 + 100 * 29.75),  # six busy hours count as a day
        (30, 900, 700, 900),
        (31, 900, 700, 900),  # never less than what is spent
    ],
)
def test_a_forecast_goes_on_as_in_the_last_week(day: float, spent: int, recent: int, expected: float) -> None:
    now = BEGIN + timedelta(days=day)
    assert forecast(spent, recent, BEGIN, now, END) == int(expected)
    assert window(BEGIN, now) == BEGIN + timedelta(days=max(0, day - 7))


@pytest.mark.parametrize(
    ("plan", "opened", "charged", "expected"),
    [
        (PLANS.of("free"), 9, (), Quote(0, is_estimate=False)),
        (FIXED, 1, (), Quote(0, is_estimate=False)),  # it is part of the plan
        (FIXED, 2, (), Quote(5_000_000, is_estimate=False)),
        (FIXED, 3, (OPENED,), Quote(0, is_estimate=False)),  # opened before: further rounds cost nothing
        (PLANS.of("per_token"), 9, (TOKENS,), Quote(600_000, is_estimate=True)),  # half a dollar and 20 percent
        (BOTH, 2, (TOKENS,), Quote(5_600_000, is_estimate=True)),  # the plan's own tokens are no pull request
        (BOTH, 2, (TOKENS, OPENED), Quote(600_000, is_estimate=True)),
    ],
)
def test_a_plan_has_the_price_that_the_charges_will_come_to(
    plan: Plan, opened: int, charged: tuple[MeterSum, ...], expected: Quote
) -> None:
    assert price_of(plan, 0.5, opened, charged, on_trial=False) == expected
    assert price_of(plan, 0.5, opened, charged, on_trial=True) == Quote(0, is_estimate=False)


def test_what_is_less_than_a_micro_usd_is_one() -> None:
    assert [micro_usd(pico) for pico in (0, 1, PICO_PER_MICRO, PICO_PER_MICRO + 1)] == [0, 1, 1, 2]


def account(**told: object) -> Account:
    nothing = dict.fromkeys(Account.__dataclass_fields__)
    given = {"org_id": OrgId(new_uuid()), "mode": BillingMode.TEST, "plan": "fixed", "status": AccountStatus.ACTIVE}
    return Account(**{**nothing, **given, "credit_pico_usd": 0, "billed_from": BEGIN, "revision": 1, **told})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spent", "credit", "charged", "in_month", "expected"),
    [
        (0, 0, 0, 0, 2 + 4),  # what is part of the plan, and four for the cap
        (5, 0, 3, 3, 3 + 3),
        (5, 10, 3, 3, 3 + 3 + 2),  # credit pays for two of them
        (0, 0, 0, 2, 4),  # under the plan before, what is part of this one was used up
        (0, 0, 0, 1, 1 + 4),
        (19, 0, 6, 6, 6),
    ],
)
def test_so_many_pull_requests_fit_under_a_cap(
    spent: int, credit: int, charged: int, in_month: int, expected: int
) -> None:
    dollar = 10**12
    capped = account(hard_cap=20_000_000, credit_pico_usd=credit * dollar)
    position = Position(capped, FIXED, spent * dollar, charged, in_month, BEGIN)
    limit = standing_of(position, BEGIN).limit
    assert limit is not None
    assert (limit.pull_requests, limit.why.code) == (expected, "spending_cap")
    on_trial = replace(position, account=replace(capped, trial_end=END))
    assert standing_of(on_trial, BEGIN).limit is None

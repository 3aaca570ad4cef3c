"""What things cost: every ledger, tried on every plan."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicd_backend.billing.plans import PULL_REQUESTS, Plans, TokenKind, token_meter
from aicd_backend.billing.pricing import charges_for, month_of
from aicd_backend.billing.syncing import wanted_prices
from aicd_backend.billing.values import OpenedPullRequest, Terms, TokenUse
from aicd_core.contracts import Usage
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId, new_uuid
from aicd_core.usage.billing.models import ChargeKind

BEGIN = datetime(2026, 11, 28, 12, tzinfo=UTC)
PLANS = Plans.load()
MODELS = ("claude-opus-4-6", "claude-haiku-4-5", "gpt-5.5", "gpt-6-mini", "something-else", None)

counts = st.integers(0, 3_000_000)
usages = st.builds(
    Usage, input_tokens=counts, cached_input_tokens=counts, cache_write_tokens=counts, output_tokens=counts
)
uses = st.lists(st.tuples(st.sampled_from(MODELS), usages), max_size=30)


@given(uses, st.integers(0, 40_000_000))
def test_tokens_are_charged_as_counted_each_kind_at_its_price_after_credit(
    used: list[tuple[str | None, Usage]], credit_micro_usd: int
) -> None:
    job = JobId(new_uuid())
    things = [
        TokenUse(job, number, model, usage, BEGIN + timedelta(seconds=number))
        for number, (model, usage) in enumerate(used)
    ]
    credit = credit_micro_usd * 1_000_000
    charges, left = charges_for(PLANS, Terms("per_token", credit_pico_usd=credit), things)
    prices = {meter.name: meter.unit_pico_usd for meter in PLANS.of("per_token").meters()}
    for name in PLANS.classes:
        for kind in TokenKind:
            of_class = [usage for model, usage in used if PLANS.class_of(model) == name]
            meter = token_meter(name, kind)
            counted = sum(charge.quantity for charge in charges if charge.meter == meter)
            assert counted == sum(kind.of(usage) for usage in of_class)
    whole = sum(prices[charge.meter] * charge.quantity for charge in charges)
    paid = sum(prices[charge.meter] * charge.billable for charge in charges)
    by_credit = sum(charge.credit_pico_usd for charge in charges)
    assert whole == paid + by_credit
    assert by_credit + left.credit_pico_usd == credit
    # Credit is kept back only where what is left of it pays for no whole unit that was charged later.
    assert paid == 0 or left.credit_pico_usd < max(prices.values())
    assert len({charge.subject for charge in charges}) == len(charges)


@given(st.lists(st.integers(0, 60 * 24), max_size=40), st.integers(0, 20))
def test_what_is_charged_does_not_depend_on_where_the_list_is_cut(hours: list[int], cut: int) -> None:
    things = [OpenedPullRequest(JobId(new_uuid()), BEGIN + timedelta(hours=hour)) for hour in sorted(hours)]
    plans = PLANS.model_copy(update={"plans": {"some": _plan(included=3)}})
    terms = Terms("some", trial_end=BEGIN + timedelta(hours=10), credit_pico_usd=7 * 10**12)
    whole, left = charges_for(plans, terms, things)
    first, between = charges_for(plans, terms, things[:cut])
    rest, same = charges_for(plans, between, things[cut:])
    assert (first + rest, same) == (whole, left)
    months = {month_of(charge.occurred_at) for charge in whole}
    for month in months:
        of_month = [charge for charge in whole if month_of(charge.occurred_at) == month]
        assert all(charge.billable == charge.credit_pico_usd == 0 for charge in of_month[:3])


def test_the_free_plan_and_a_trial_charge_nothing_and_count_everything() -> None:
    opened = [OpenedPullRequest(JobId(new_uuid()), BEGIN) for _ in range(7)]
    free, _ = charges_for(PLANS, Terms("free"), opened)
    trial, _ = charges_for(PLANS, Terms("per_pull_request", trial_end=BEGIN + timedelta(days=1)), opened)
    for charges in (free, trial):
        assert [(charge.meter, charge.quantity, charge.billable) for charge in charges] == [(PULL_REQUESTS, 1, 0)] * 7
    tokens = TokenUse(opened[0].job_id, 1, None, Usage(input_tokens=5), BEGIN)
    assert charges_for(PLANS, Terms("free"), [tokens])[0] == []


def test_prices_have_one_truth_that_sync_and_charges_read() -> None:
    plan = PLANS.of("per_token")
    by_sync = {price.meter: price.unit_pico_usd for price in wanted_prices("per_token", plan)}
    everything = Usage(input_tokens=1, cached_input_tokens=1, cache_write_tokens=1, output_tokens=1)
    uses = [TokenUse(JobId(new_uuid()), number, model, everything, BEGIN) for number, model in enumerate(MODELS)]
    charges, _ = charges_for(PLANS, Terms("per_token"), uses)
    assert {charge.meter: charge.unit_pico_usd for charge in charges} == by_sync
    # 3 dollars a million and 20 percent: 3.6 micro-USD for a token; cached ones a tenth.
    assert by_sync["aicd_medium_input_tokens"] == 3_600_000
    assert by_sync["aicd_medium_cached_input_tokens"] == 360_000


GOOD = """
default = "free"
[classes]
all = ["*"]
[plans.free]
title = "Free"
pull_requests = { included = 2 }
[plans.paid]
title = "Paid"
margin_percent = 5
tokens = { all = { input = 100, cached_input = 0, cache_write = 200, output = 300 } }
"""
MENDED = (
    ('default = "free"', 'default = "gone"', "'gone', which is none of free, paid"),
    ('default = "free"', 'default = "paid"', "costs something"),
    ('all = ["*"]', 'all = ["gpt-*"]', 'needs the pattern "*"'),
    ("input = 100,", "input = 110,", r"tokens.all.input with the margin is no whole number"),
    ("{ all = {", "{ other = {", "has to price each of classes: all"),
    ("output = 300", "output = -1", "plans.paid.tokens.all.output"),
    ("output = 300", "output = 300, extra = 1", "plans.paid.tokens.all.extra"),
    ("included = 2", "included = 2, price_micro_usd = 0", "plans.free.pull_requests.price_micro_usd"),
    ("included = 2", "included = 10_000_000_000", "plans.free.pull_requests.included"),
    ("output = 300", "output = 10_000_000_000_000", "plans.paid.tokens.all.output"),
    ("margin_percent = 5", "margin_percent = 5\ntrial_days = 10_000_000", "plans.paid.trial_days"),
    ("[plans.free]", "[plans.Free]", "plans.Free"),
    ("[classes]", "[classes", "cannot be used"),
)


@pytest.mark.parametrize(("old", "new", "told"), MENDED)
def test_a_plans_file_that_does_not_hang_together_says_where(tmp_path: Path, old: str, new: str, told: str) -> None:
    place = tmp_path / "plans.toml"
    place.write_text(GOOD)
    assert Plans.load(place).of("paid").margin_percent == 5
    place.write_text(GOOD.replace(old, new))
    with pytest.raises(InvalidInputError, match=told) as refused:
        Plans.load(place)
    assert refused.value.code == "bad_plans"
    assert str(place) in refused.value.message


def _plan(**terms: Any) -> Any:
    return PLANS.of("per_pull_request").model_copy(
        update={"pull_requests": PLANS.of("per_pull_request").pull_requests.model_copy(update=terms)}
    )


def test_kinds_of_charges_are_those_of_the_meters() -> None:
    assert {meter.kind for meter in PLANS.meters().values()} == set(ChargeKind)

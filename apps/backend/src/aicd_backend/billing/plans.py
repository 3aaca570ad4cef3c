"""The plans, as data: the one place where prices stand (docs/billing.md)."""

import tomllib
from collections.abc import Iterator
from enum import StrEnum
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, StringConstraints, ValidationError, model_validator

from aicd_core.contracts import Usage
from aicd_core.contracts.values import Value
from aicd_core.errors import InvalidInputError
from aicd_core.usage.billing.models import ChargeKind

PICO_PER_MICRO = 1_000_000
"""Prices are kept in 10^-12 US dollars: micro-USD for a million of something, so that one token has a whole price."""
PULL_REQUESTS = "aicd_pull_requests"
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class TokenKind(StrEnum):
    """The kinds of tokens that the ledger counts, each with a price of its own."""

    INPUT = "input"
    CACHED_INPUT = "cached_input"
    CACHE_WRITE = "cache_write"
    OUTPUT = "output"

    def of(self, usage: Usage) -> int:
        """How many of them were used."""
        count: int = getattr(usage, f"{self.value}_tokens")
        return count


Included = Annotated[int, Field(ge=0, le=1_000_000_000)]
Micros = Annotated[int, Field(ge=0, le=10**12)]
"""Micro-USD, up to a million US dollars: what Stripe takes as a price, and the database as 10^-12 US dollars."""
Price = Annotated[int, Field(gt=0, le=10**12)]


class TokenPrices(Value):
    """Micro-USD for a million tokens of each kind, before the plan's margin."""

    input: Micros
    cached_input: Micros
    cache_write: Micros
    output: Micros


class PullRequestTerms(Value):
    """So many pull requests a month of UTC are part of the plan; each further one has a price, or there is none."""

    included: Included = 0
    price_micro_usd: Price | None = None


class Meter(Value):
    """What is counted at the payment provider under one name, and what one costs in a plan, in 10^-12 US dollars."""

    name: str
    title: str
    kind: ChargeKind
    unit_pico_usd: NonNegativeInt


class Plan(Value):
    """What an organization on it pays for.

    Seats are paid each month, whatever is done. During a trial nothing else is charged. Credit is used up first.
    """

    title: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    pull_requests: PullRequestTerms | None = None
    tokens: dict[Word, TokenPrices] = Field(default_factory=dict)
    margin_percent: Annotated[int, Field(ge=0, le=10_000)] = 0
    seat_micro_usd: Price | None = None
    trial_days: Annotated[int, Field(ge=0, le=730)] = 0
    credit_micro_usd: Micros = 0

    @model_validator(mode="after")
    def _whole_prices(self) -> Self:
        if self.margin_percent and not self.tokens:
            raise ValueError("margin_percent is for tokens, and this plan has no prices for any")
        for name, prices in self.tokens.items():
            for kind in TokenKind:
                if getattr(prices, kind) * (100 + self.margin_percent) % 100:
                    raise ValueError(
                        f"tokens.{name}.{kind.value} with the margin is no whole number of micro-USD for a million "
                        "tokens; choose a price that is a multiple of 100"
                    )
        return self

    @property
    def is_paid(self) -> bool:
        """Whether anything on it can cost something, so that a way to pay is needed."""
        return self.seat_micro_usd is not None or any(meter.unit_pico_usd for meter in self.meters())

    def meters(self) -> Iterator[Meter]:
        """What is counted on this plan, and at what price."""
        if self.pull_requests is not None and self.pull_requests.price_micro_usd is not None:
            price = self.pull_requests.price_micro_usd * PICO_PER_MICRO
            yield Meter(name=PULL_REQUESTS, title="Pull requests", kind=ChargeKind.PULL_REQUEST, unit_pico_usd=price)
        for name, prices in self.tokens.items():
            for kind in TokenKind:
                price = getattr(prices, kind) * (100 + self.margin_percent) // 100
                title = f"Tokens: {name}, {kind.value.replace('_', ' ')}"
                yield Meter(name=token_meter(name, kind), title=title, kind=ChargeKind.TOKENS, unit_pico_usd=price)


def token_meter(model_class: str, kind: TokenKind) -> str:
    """The name of the meter of a class's tokens of one kind."""
    return f"aicd_{model_class}_{kind.value}_tokens"


class Plans(Value):
    """All plans, the classes of models that they price, and the plan of whoever chose none.

    A model is of the first class that has a pattern for it; what no call explains counts as the model `unknown`.
    """

    currency: Literal["usd"] = "usd"
    default: Word
    classes: dict[Word, tuple[str, ...]] = Field(default_factory=dict)
    plans: dict[Word, Plan] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if self.default not in self.plans:
            raise ValueError(f"default names the plan {self.default!r}, which is none of {', '.join(self.plans)}")
        if self.plans[self.default].is_paid:
            raise ValueError(f"default is the plan {self.default!r}, which costs something: nobody chose it")
        if self.classes and "*" not in [*self.classes.values()][-1]:
            raise ValueError('the last of classes needs the pattern "*", so that every model has a price')
        for name, plan in self.plans.items():
            if plan.tokens and set(plan.tokens) != set(self.classes):
                raise ValueError(f"plans.{name}.tokens has to price each of classes: {', '.join(self.classes)}")
        return self

    @classmethod
    def load(cls, place: Path | None = None) -> Self:
        """The plans of a file, or those that are shipped.

        Raises:
            InvalidInputError: `bad_plans`: the file cannot be read, or is no such file; with what to mend.
        """
        shipped = resources.files("aicd_backend.billing") / "plans.toml"
        try:
            return cls.model_validate(tomllib.loads((place or shipped).read_text(encoding="utf-8")))
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}" for fault in error.errors()]
            raise _unusable(place, "; ".join(faults)) from error
        except (OSError, ValueError) as error:
            raise _unusable(place, str(error)) from error

    def of(self, name: str) -> Plan:
        """The plan of a name.

        Raises:
            InvalidInputError: `no_such_plan`.
        """
        found = self.plans.get(name)
        if found is None:
            raise InvalidInputError(
                f"There is no plan {name!r}; there are {', '.join(self.plans)}. A plan that an organization is on may "
                "not be taken out of the plans file.",
                code="no_such_plan",
            )
        return found

    def class_of(self, model: str | None) -> str:
        """The class of a model's tokens.

        Raises:
            InvalidInputError: `no_such_plan`: no class is declared at all.
        """
        for name, patterns in self.classes.items():
            if any(fnmatchcase(model or "unknown", pattern) for pattern in patterns):
                return name
        raise InvalidInputError("The plans file declares no classes of models.", code="no_such_plan")

    def meters(self) -> dict[str, Meter]:
        """Every meter of every plan by name; prices differ from plan to plan."""
        return {meter.name: meter for plan in self.plans.values() for meter in plan.meters()}


def _unusable(place: Path | None, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"The plans file {place or 'that is shipped'} (AICD_BILLING_PLANS) cannot be used: {why}. docs/billing.md "
        "shows what it looks like.",
        code="bad_plans",
    )

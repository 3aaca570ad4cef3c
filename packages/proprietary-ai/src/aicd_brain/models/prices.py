"""What tokens cost: one table, with the date on which it was true."""

import tomllib
from datetime import date
from decimal import ROUND_CEILING, Decimal
from importlib import resources
from pathlib import Path
from typing import Self

from pydantic import Field, NonNegativeInt, ValidationError

from aicd_brain.models.messages import Tokens
from aicd_core.contracts import Usage
from aicd_core.contracts.values import Value
from aicd_core.errors import InvalidInputError

BYTES_PER_TOKEN = 3
"""For the worst case: English, code and JSON have about four bytes to a token, so this counts a third too many."""


class Rates(Value):
    """US dollars for a million tokens, that is micro-USD for one."""

    input: Decimal = Field(ge=0)
    cached_input: Decimal = Field(ge=0)
    cache_write: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)

    def cost(self, tokens: Tokens) -> int:
        """Whole micro-USD, rounded up."""
        exact = sum((getattr(self, name) * getattr(tokens, name) for name in Tokens.model_fields), Decimal(0))
        return int(exact.to_integral_value(ROUND_CEILING))


class ModelPrice(Rates):
    """The rates of a model, and those of a request whose prompt has more than `long_over` tokens."""

    long_over: NonNegativeInt | None = None
    long: Rates | None = None

    def rates(self, prompt_tokens: int) -> Rates:
        is_long = self.long is not None and self.long_over is not None and prompt_tokens > self.long_over
        return self.long if is_long and self.long is not None else self


class PriceTable(Value):
    """Prices by model, as of `date`."""

    date: date
    models: dict[str, ModelPrice]

    @classmethod
    def load(cls, place: Path | None = None) -> Self:
        """The table of this package; one of the operator's own adds to it, and wins where both name a model.

        Raises:
            InvalidInputError: the operator's file cannot be read, or is no such table.
        """
        shipped = cls.model_validate(tomllib.loads((resources.files("aicd_brain.models") / "prices.toml").read_text()))
        if place is None:
            return shipped
        try:
            own = cls.model_validate(tomllib.loads(place.read_text()))
        except (OSError, ValueError, ValidationError) as error:
            raise InvalidInputError(
                f"The price table {place} (AICD_PRICES) cannot be used: {error}. It has to look like the one "
                "shipped, aicd_brain/models/prices.toml.",
                code="bad_price_table",
            ) from error
        return cls(date=own.date, models={**shipped.models, **own.models})

    def of(self, model: str) -> ModelPrice:
        """The price of a model.

        Raises:
            InvalidInputError: code `no_price`: without one, no budget could hold.
        """
        found = self.models.get(model)
        if found is None:
            raise InvalidInputError(
                f"The model {model!r} has no price in the table of {self.date}. Write it into a file of your own and "
                "name that in AICD_PRICES; a model on a machine of yours may cost 0. Known: "
                + ", ".join(sorted(self.models)),
                code="no_price",
            )
        return found

    def usage(self, model: str, tokens: Tokens) -> Usage:
        """What a call used, with its cost."""
        return Usage(
            input_tokens=tokens.input,
            cached_input_tokens=tokens.cached_input,
            cache_write_tokens=tokens.cache_write,
            output_tokens=tokens.output,
            cost_micro_usd=self.of(model).rates(tokens.prompt).cost(tokens),
        )

    def worst_case(self, model: str, request_bytes: int, max_output: int) -> int:
        """The most that a request of so many bytes can cost, in micro-USD: all of it read anew and kept, and the
        longest answer."""
        prompt = request_bytes // BYTES_PER_TOKEN + 1
        rates = self.of(model).rates(prompt)
        dearest = max(rates.input, rates.cache_write)
        return int((dearest * prompt + rates.output * max_output).to_integral_value(ROUND_CEILING))

"""What a piece of work used up."""

from pydantic import Field

from aicd_core.contracts.values import Value

MICRO_USD = 1_000_000
"""Micro-USD in a US dollar; money is kept in whole micro-USD everywhere."""


class Usage(Value):
    """Token counts by kind and their cost in micro-USD. Adds up."""

    input_tokens: int = Field(default=0, ge=0)
    cached_input_tokens: int = Field(default=0, ge=0)
    cache_write_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cost_micro_usd: int = Field(default=0, ge=0)

    def __add__(self, other: "Usage") -> "Usage":
        mine, theirs = self.model_dump(), other.model_dump()
        return Usage(**{name: mine[name] + theirs[name] for name in mine})

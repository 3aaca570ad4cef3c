"""The turns of a job that goes well, and what a server saw of it compared with the ledger."""

import json
from math import ceil
from typing import Any

from aicd_brain.testing.models import ModelServer, Served
from aicd_brain.testing.turns import done, planning, reviewing, using
from aicd_core.contracts import Usage
from aicd_core.orchestrator import JobReport

GREET = using("replace", path="greet.txt", old="hello", new="hello world")
PLAN = [planning("greet.txt")]
APPROVE = [reviewing("approve")]
CODE = [GREET, done(), done()]

USD_PER_MILLION = {
    "claude-sonnet-5-5": (2, 0.1, 2.5, 10),
    "claude-opus-5-5": (4, 0.2, 5, 20),
    "gpt-6.1-sol": (2, 0.1, 2.5, 10),
}
"""Input, cached input, written to the cache, output; by hand, so that the price table is tested as well."""


def cost(served: Served) -> int:
    """Micro-USD of one request, rounded up."""
    tokens = served.tokens
    counted = (tokens.input, tokens.cached_input, tokens.cache_write, tokens.output)
    exact = sum(count * price for count, price in zip(counted, USD_PER_MILLION[served.model], strict=True))
    return ceil(round(exact, 6))


def assert_paid_exactly(report: JobReport, server: ModelServer) -> None:
    """The ledger of the job is what the server counted, and not nothing."""
    total = server.counted()
    assert report.usage == Usage(
        input_tokens=total.input,
        cached_input_tokens=total.cached_input,
        cache_write_tokens=total.cache_write,
        output_tokens=total.output,
        cost_micro_usd=sum(map(cost, server.served())),
    )
    assert report.usage.cost_micro_usd > 0


def texts(served: Served) -> str:
    """Everything that a request says, as one text."""
    return json.dumps(served.body, ensure_ascii=False)


def of(server: ModelServer, role: str) -> list[Served]:
    return [one for one in server.served() if one.role == role]


def without_marks(message: dict[str, Any]) -> dict[str, Any]:
    """A message without the marks of where Anthropic caches, which move and are no part of the prompt."""
    content = [{name: part for name, part in block.items() if name != "cache_control"} for block in message["content"]]
    return {**message, "content": content}

"""Whole jobs: whatever the model does, each ends in the right state, and the ledger is the server's own count."""

from math import ceil

import pytest

from aicd_brain.testing.models import Served
from aicd_brain.testing.turns import done, planning, reviewing, script, using
from aicd_core.contracts import Usage
from aicd_core.jobs.machine import JobState

GREET = using("replace", path="greet.txt", old="hello", new="hello world")
PLAN = [planning("greet.txt")]
APPROVE = [reviewing("approve")]
CODE = [GREET, done(), done()]

MILLIONTHS = {"claude-sonnet-5-5": (2, 0.1, 2.5, 10), "gpt-6.1-sol": (2, 0.1, 2.5, 10)}


def cost(served: Served) -> int:
    """Micro-USD, by hand."""
    tokens = served.tokens
    counted = (tokens.input, tokens.cached_input, tokens.cache_write, tokens.output)
    return ceil(round(sum(n * price for n, price in zip(counted, MILLIONTHS[served.model], strict=True)), 6))


def assert_paid_exactly(report, server) -> None:
    served = server.served()
    total = server.counted()
    assert report.usage == Usage(
        input_tokens=total.input,
        cached_input_tokens=total.cached_input,
        cache_write_tokens=total.cache_write,
        output_tokens=total.output,
        cost_micro_usd=sum(map(cost, served)),
    )
    assert report.usage.cost_micro_usd > 0


@pytest.mark.parametrize("api", ["anthropic", "responses", "chat"])
async def test_an_issue_becomes_a_pull_request_through_each_vendors_api(play, api):
    stage = play(script([PLAN], [CODE], [APPROVE]), api)
    report = await stage.run()
    assert (report.job.state, report.job.reason) == (JobState.PR_OPEN, None)
    assert b"+hello world" in report.coded.change_set.patch
    assert report.coded.change.summary == "It is done."
    assert [one.role for one in stage.server.served()] == ["planner", "coder", "coder", "coder", "critic"]
    assert_paid_exactly(report, stage.server)

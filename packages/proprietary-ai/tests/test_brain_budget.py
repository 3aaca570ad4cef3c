"""Money and keys: a call that could pass the budget is not sent, the coder is warned before, a job can be stopped."""

import asyncio
import json

import psycopg
import pytest

from aicd_brain.loop.turns import Turn as KeptTurn
from aicd_brain.loop.warnings import warnings
from aicd_brain.models.messages import Message, say
from aicd_brain.models.prices import PriceTable
from aicd_brain.testing.scripts import Failure
from aicd_brain.testing.turns import done, planning, reviewing, script, using
from aicd_core.contracts import Left
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import Replay

WORK = [using("shell", command=f"echo world {number} >> greet.txt") for number in range(6)]
WHOLE = ([[planning("greet.txt")]], [[*WORK, done(), done()]], [[reviewing("approve")]])


def limit(urls, micro_usd: int) -> None:
    with psycopg.connect(urls.admin) as connection:
        connection.execute("UPDATE jobs SET cost_limit = %s", (micro_usd,))


async def test_a_job_pauses_before_its_budget_is_passed_and_goes_on_from_there_when_it_is_raised(
    play, body, source, database_urls
):
    stage = play(script(*WHOLE), model_max_output=1000)
    body.agents = lambda name: stage.agent
    job = (await body.take(source, "Greet the world")).job
    limit(database_urls, 26_000)
    report = await body.drive(job)
    assert (report.job.state, report.job.code) == (JobState.PAUSED, "job_budget")
    assert 0 < report.usage.cost_micro_usd <= 26_000
    before = len(stage.server.served())
    assert 1 < before < 10
    job = await body.control().resume(job.id, cost_limit=10_000_000)
    report = await body.drive(job)
    assert report.job.state is JobState.PR_OPEN
    served = stage.server.served()
    assert len(served) == len({(one.role, one.turn) for one in served}) == 10
    assert report.usage.output_tokens == stage.server.counted().output


def turn(left: Left, **fields) -> KeptTurn:
    return KeptTurn(said=Message(role="assistant", parts=()), answered=say("…"), left=left, **fields)


def test_time_and_money_are_warned_of_once_each_when_a_fifth_is_left():
    start = turn(Left(seconds=1000, micro_usd=1_000_000))
    assert warnings([start], Left(seconds=300, micro_usd=300_000)) == {}
    assert list(warnings([start], Left(seconds=100, micro_usd=100_000))) == ["time", "money"]
    warned = turn(Left(seconds=100, micro_usd=100_000), warned=("time",))
    assert list(warnings([start, warned], Left(seconds=50, micro_usd=90_000))) == ["money"]
    assert warnings([turn(Left(seconds=1000))], Left(seconds=900)) == {}


async def test_the_warning_reaches_the_model_and_a_replay_says_the_same(play, body, source, database_urls):
    work = [using("shell", command=f"echo world {number} >> greet.txt") for number in range(16)]
    stage = play(script(WHOLE[0], [[*work, done(), done()]], WHOLE[2]), model_max_output=1000)
    body.agents = lambda name: stage.agent
    job = (await body.take(source, "Greet the world")).job
    limit(database_urls, 36_500)
    report = await body.drive(job)
    said = json.dumps([one.body for one in stage.server.served()])
    assert "of the budget are left" in said
    if report.job.state is JobState.PAUSED:
        await body.drive(await body.control().resume(job.id, cost_limit=10_000_000))
    asked = len(stage.server.served())
    found = await Replay(body.parts(), body.tenant).run(job.id)
    assert found.identical, found
    assert len(stage.server.served()) == asked


async def test_a_job_is_stopped_in_the_middle_of_a_call_and_asks_nothing_more(play, body, source):
    silent = WORK[0].model_copy(update={"failures": (Failure(stall=60, times=99),)})
    stage = play(script([[planning("greet.txt")]], [[silent]], [[reviewing("approve")]]), model_stall=60)
    body.agents = lambda name: stage.agent
    job = (await body.take(source, "Greet the world")).job
    driving = asyncio.ensure_future(body.drive(job))
    while len(stage.server.served()) < 2:
        await asyncio.sleep(0.02)
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert len(stage.server.served()) == 2


async def test_without_a_key_the_variable_is_named_and_nothing_is_sent(play):
    stage = play(script(*WHOLE), anthropic_api_key=None, anthropic_base_url=None)
    with pytest.raises(UnavailableError, match="AICD_ANTHROPIC_API_KEY is not set") as caught:
        await stage.run()
    assert caught.value.code == "model_key_missing"
    assert stage.server.served() == []


@pytest.mark.parametrize("api", ["anthropic", "responses", "chat"])
async def test_a_key_that_is_refused_is_told_and_not_tried_again(play, api):
    refused = planning("greet.txt").model_copy(update={"failures": (Failure(status=401, detail="no such key"),)})
    stage = play(script([[refused]], *WHOLE[1:]), api)
    with pytest.raises(UnavailableError, match=r"refuses the key: .*no such key") as caught:
        await stage.run()
    assert caught.value.code == "model_key_refused"
    assert len(stage.server.served()) == 1


async def test_a_request_that_is_refused_fails_the_job_with_the_vendors_words(play):
    refused = planning("greet.txt").model_copy(update={"failures": (Failure(status=400, detail="bad tool schema"),)})
    report = await play(script([[refused]], *WHOLE[1:])).run()
    assert (report.job.state, report.job.code) == (JobState.FAILED, "model_request_refused")
    assert "bad tool schema" in report.job.reason


async def test_a_model_without_a_price_fails_the_job_before_anything_is_sent(play):
    stage = play(script(*WHOLE), planner_model="home-made-1")
    report = await stage.run()
    assert (report.job.state, report.job.code) == (JobState.FAILED, "no_price")
    assert "AICD_PRICES" in report.job.reason
    assert stage.server.served() == []


async def test_a_model_of_ones_own_is_called_without_a_key_and_costs_what_the_operator_says(play, tmp_path):
    prices = tmp_path / "prices.toml"
    free = 'input = "0"\ncached_input = "0"\ncache_write = "0"\noutput = "0"\n'
    prices.write_text(f'date = 2026-11-01\n[models."home-made-1"]\n{free}')
    roles = {f"{role}_model": "home-made-1" for role in ("planner", "coder", "critic")}
    stage = play(script(*WHOLE), "chat", openai_api_key=None, prices=prices, **roles)
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    assert {one.model for one in stage.server.served()} == {"home-made-1"}
    assert report.usage.cost_micro_usd == 0
    assert report.usage.output_tokens > 0


def test_a_price_table_that_is_none_is_refused_with_its_name(tmp_path):
    place = tmp_path / "prices.toml"
    place.write_text("date = 'soon'")
    with pytest.raises(InvalidInputError, match=r"prices\.toml"):
        PriceTable.load(place)

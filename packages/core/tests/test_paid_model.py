"""The fake that costs something writes down what it was asked, whatever becomes of whoever asked."""

import asyncio
from importlib.metadata import distributions
from pathlib import Path

import pytest

from aicd_core.testing.paid_model import PRICE, PaidModel, ask
from aicd_core.testing.plugins import offer_agent


async def test_each_call_is_written_down_and_no_two_answers_are_alike(tmp_path: Path):
    with PaidModel(tmp_path / "paid.jsonl") as model:
        replies = [await ask(model.url, content) for content in (b"same", b"same", b"\xff other")]
    assert len({reply.content for reply in replies}) == 3
    assert {reply.usage for reply in replies} == {PRICE}
    assert [(call.number, call.request) for call in model.calls()] == [(1, b"same"), (2, b"same"), (3, b"\xff other")]


async def test_a_new_server_counts_on_from_the_log(tmp_path: Path):
    for _ in range(2):
        with PaidModel(tmp_path / "paid.jsonl") as model:
            await ask(model.url, b"x")
    assert [call.number for call in model.calls()] == [1, 2]


async def test_a_call_that_is_held_is_paid_and_answered_only_after_the_release(tmp_path: Path):
    with PaidModel(tmp_path / "paid.jsonl") as model:
        model.hold_from(2)
        await ask(model.url, b"first")
        held = asyncio.ensure_future(ask(model.url, b"second"))
        while len(model.calls()) < 2:
            await asyncio.sleep(0.01)
        done, _ = await asyncio.wait({held}, timeout=0.1)
        assert not done
        model.release()
        assert b'"paid": 2' in (await held).content


async def test_a_server_that_is_gone_is_no_answer(tmp_path: Path):
    with PaidModel(tmp_path / "paid.jsonl") as model:
        url = model.url
    with pytest.raises(ConnectionError):
        await ask(url, b"x")


def test_an_offered_agent_is_found_by_any_process_with_the_folder_on_its_path(tmp_path: Path):
    place = offer_agent(tmp_path / "plugins", "mine", "my_module:MyAgent")
    # By name: an import hook that some library added may find each once more.
    (found,) = {one.name: one for one in distributions(path=[place])}.values()
    (point,) = found.entry_points
    assert (point.group, point.name, point.value) == ("aicd.agents", "mine", "my_module:MyAgent")

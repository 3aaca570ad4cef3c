"""The tools and the pure parts of the loop: what a model is told, and what a conversation becomes."""

import json

import pytest

from aicd_brain.loop.circles import circle
from aicd_brain.loop.compaction import CLEARED, compact
from aicd_brain.loop.turns import Conversation, Turn, from_fragments, to_fragment
from aicd_brain.models.messages import Message, Text, ToolCall, ToolResult, say
from aicd_brain.models.prices import PriceTable
from aicd_brain.models.provider import Fault, fault_of_status, retry_after_of
from aicd_brain.roles.delta import patch_delta, without_binaries
from aicd_brain.tools.near_miss import near_miss
from aicd_brain.tools.truncation import head_and_tail
from aicd_core.contracts import Left

LEFT = Left(seconds=100)
CODE = "def add(a, b):\n    total = a + b\n    return total\n\n\ndef sub(a, b):\n    return a - b\n"


def turn(name: str = "shell", arguments: str = "{}", answer: str = "ok", **fields) -> Turn:
    call = ToolCall(id="1", name=name, arguments=arguments)
    result = ToolResult(call_id="1", text=answer, failed=answer.startswith("error"))
    said = Message(role="assistant", parts=(call,))
    return Turn(said=said, answered=Message(role="user", parts=(result,)), left=LEFT, **fields)


def test_a_near_miss_in_white_space_is_called_that_and_shown_with_its_lines():
    told = near_miss(CODE, "  total = a + b\n  return total\n")
    assert told.splitlines() == [
        "It differs only in white space:",
        "1\tdef add(a, b):",
        "2\t    total = a + b",
        "3\t    return total",
        "4\t",
    ]


def test_the_nearest_place_is_shown_when_a_word_differs():
    told = near_miss(CODE, "def sub(a, b):\n    return b - a\n")
    assert told.startswith("The nearest place is:")
    assert "6\tdef sub(a, b):" in told


@pytest.mark.parametrize("old", ["something else entirely", "\n", ""])
def test_where_nothing_is_like_it_no_place_is_shown(old):
    assert "No place" in near_miss(CODE, old)


def test_a_text_that_repeats_one_line_ten_thousand_times_gets_an_answer():
    assert near_miss("x = 1\n" * 10_000, "x = 2\n").startswith("No place")
    assert near_miss("x = 1\n" * 4_000, "y = 1\nx = 1\nx = 1\n").startswith("The nearest place")


def test_long_text_keeps_head_and_tail_and_says_how_much_is_gone():
    text = "".join(f"line {number}\n" for number in range(10_000))
    short = head_and_tail(text, 1_000)
    assert len(short) < 1_100
    assert short.startswith("line 0\n")
    assert short.endswith("line 9999\n")
    assert "lines left out" in short
    assert head_and_tail("short", 1_000) == "short"
    assert len(head_and_tail("x" * 10**7, 1_000)) < 1_100


def test_what_is_kept_of_a_conversation_makes_the_same_messages_again():
    turns = [turn(arguments=json.dumps({"command": f"echo {number}"}), answer="x" * 3000) for number in range(30)]
    turns[20] = turns[20].model_copy(update={"overflowed": True})
    live = Conversation(say("begin"), 8_000)
    fragments = []
    for number, one in enumerate(turns):
        if one.overflowed:
            live.compact()
        live.add(one)
        if number % 3 == 2:
            fragments.append(to_fragment(turns[number - 2 : number + 1]))
    again = Conversation.resumed(say("begin"), 8_000, from_fragments(fragments))
    assert again.messages == live.messages
    assert sum(len(message.model_dump_json()) for message in live.messages) < 32_000


def test_compaction_keeps_the_opening_and_the_last_turns_and_clears_what_tools_answered_between():
    messages = [say("the plan and what is open")]
    for number in range(10):
        one = turn(answer=f"{number} " + "x" * 500)
        messages += (one.said, one.answered)
    shorter = compact(messages)
    assert shorter[0] == messages[0]
    assert shorter[-6:] == messages[-6:]
    assert {part.text for message in shorter[1:-6] for part in message.parts if isinstance(part, ToolResult)} == {
        CLEARED
    }
    shortest = compact(shorter)
    assert shortest[0].parts[0] == messages[0].parts[0]
    assert "Earlier turns were left out" in shortest[0].parts[1].text
    assert shortest[1:] == messages[-6:]
    assert [message.role for message in shortest] == ["user", *["assistant", "user"] * 3]


def test_circles_are_the_same_action_the_same_error_and_going_back_and_forth():
    assert circle([turn()] * 3) is None
    assert "exactly the same 4 times" in (circle([turn()] * 4) or "")
    errors = [turn(arguments=str(number), answer="error: no") for number in range(4)]
    assert "same error 4 times" in (circle(errors) or "")
    assert circle([*errors[:3], turn(answer="fine")]) is None
    back, forth = turn(arguments="1"), turn(arguments="2")
    assert "back and forth" in (circle([back, forth] * 3) or "")
    assert circle([back, forth] * 2) is None
    assert circle([*[turn()] * 3, turn(nudged=True), *[turn()] * 3]) is None, "it counts anew after it was told"


def test_a_turn_without_a_call_is_no_circle():
    silent = Turn(said=Message(role="assistant", parts=(Text(text="hm"),)), answered=say("go on"), left=LEFT)
    assert circle([silent] * 9) is None


@pytest.mark.parametrize(
    ("status", "detail", "fault"),
    [
        (429, "slow down", Fault.RATE_LIMITED),
        (429, "insufficient_quota", Fault.KEY_REFUSED),
        (529, "overloaded", Fault.OVERLOADED),
        (503, "", Fault.OVERLOADED),
        (400, "prompt is too long: 1 > 0", Fault.TOO_LONG),
        (413, "", Fault.TOO_LONG),
        (400, "your credit balance is too low", Fault.KEY_REFUSED),
        (401, "", Fault.KEY_REFUSED),
        (404, "no such model", Fault.REQUEST_REFUSED),
    ],
)
def test_a_status_and_its_words_are_told_apart(status, detail, fault):
    assert fault_of_status(status, detail) is fault


def test_a_wait_is_asked_for_in_seconds_or_not_at_all():
    assert [retry_after_of(value) for value in ("2.5", "-1", "Wed, 25 Nov 2026 00:00:00 GMT", None)] == [
        2.5,
        0,
        None,
        None,
    ]


def test_every_price_of_the_table_is_whole_and_a_long_prompt_costs_more():
    table = PriceTable.load()
    assert table.date.year >= 2026
    for name, price in table.models.items():
        assert price.cached_input <= price.input <= price.cache_write <= price.output, name
        assert (price.long is None) == (price.long_over is None), name
        if price.long is not None:
            assert price.long.input > price.input, name


def test_the_worst_case_is_never_less_than_what_a_call_can_cost():
    table = PriceTable.load()
    body = json.dumps({"text": "word " * 2000}).encode()
    worst = table.worst_case("claude-sonnet-5-5", len(body), 1000)
    assert worst == -(-(len(body) // 3 + 1) * 25 // 10) + 1000 * 10


def patch(name: str, line: str) -> str:
    return f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-x\n+{line}\n"


def test_what_changed_between_two_rounds_is_told_by_file():
    before = patch("same", "1") + patch("other", "1") + patch("undone", "1")
    after = patch("same", "1") + patch("other", "2") + patch("new", "1")
    assert patch_delta(before, after).splitlines() == [
        "as in the round before: a/same b/same",
        "changed since the round before: a/other b/other",
        "touched for the first time: a/new b/new",
        "as at the base commit again: a/undone b/undone",
    ]


def test_binary_content_is_left_out_of_a_patch_and_what_follows_stays():
    binary = "diff --git a/i b/i\nGIT binary patch\nliteral 5\nMcmZQzU|?ckU\n\nliteral 0\nHcmV?d00001\n\n"
    shown = without_binaries(binary + patch("code", "1"))
    assert "ZQzU" not in shown
    assert "HcmV" not in shown
    assert "[binary content]" in shown
    assert shown.endswith(patch("code", "1"))

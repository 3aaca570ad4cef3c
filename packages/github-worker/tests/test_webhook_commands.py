"""The commands in a comment: which lines are ones, and what they ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicd_github.webhooks.commands import MOST, Command, Verb, commands_added, commands_in

GO, STOP, PLAN = Command(Verb.GO), Command(Verb.STOP), Command(Verb.PLAN)


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.BUDGET])
def test_each_verb_is_a_command(verb: Verb):
    assert commands_in(f"/aicd {verb.value}") == (Command(verb),)


@pytest.mark.parametrize(
    "text",
    [
        "/aicd go",
        "  /aicd   GO  ",
        "/AICD Go",
        "Looks right.\n/aicd go\nThanks!",
        "Looks right.\r\n\r\n/aicd go\r\n",
        "**/aicd go**",
        "> /aicd stop\n\n/aicd go",
        "```\n/aicd stop\n```\n/aicd go",
        "<!-- /aicd stop -->\n/aicd go",
    ],
)
def test_a_line_of_its_own_is_a_command(text: str):
    assert commands_in(text) == (GO,)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "go",
        "Say /aicd go when you are ready.",
        "`/aicd go`",
        "> /aicd go",
        "> Ada wrote:\n/aicd go",  # Markdown's lazy continuation: it is still part of the quote
        ">> /aicd go",
        "```\n/aicd go\n```",
        "```\n/aicd go",
        "~~~sh\n/aicd go\n~~~",
        "    /aicd go",
        "\t/aicd go",
        "- /aicd go",
        "1. /aicd go",
        "# /aicd go",
        "/aicd go\n===",
        "| command |\n| --- |\n| /aicd go |",
        "<!-- /aicd go -->",
        "<!--\n/aicd go\n-->",
        "Well <!--\n/aicd go\n--> then",
        "<details>\n/aicd go\n</details>",
        "[/aicd go](https://example.org)",
        "/aicd-go",
        "/aicdgo",
        "x/aicd go",
        "//aicd go",
        "\\`\\`/aicd go",
        "/ai\u200bcd go",
    ],
)
def test_text_about_commands_is_none(text: str | None):
    assert commands_in(text) == ()


def test_several_commands_come_in_their_order():
    assert commands_in("/aicd budget 5\nand then\n/aicd go\n\n/aicd go") == (
        Command(Verb.BUDGET, budget=5_000_000),
        GO,
        GO,
    )


def test_no_comment_has_more_than_a_few():
    assert len(commands_in("/aicd go\n" * 1000)) == MOST


@pytest.mark.parametrize(
    ("words", "budget"),
    [
        ("5", 5_000_000),
        ("0.5", 500_000),
        ("$12.345678", 12_345_678),
        ("3usd", 3_000_000),
        ("0", 0),
        ("1000000", 10**12),
    ],
)
def test_a_budget_is_in_dollars(words: str, budget: int):
    assert commands_in(f"/aicd budget {words}") == (Command(Verb.BUDGET, budget=budget),)


@pytest.mark.parametrize("words", ["", "five", "-5", "1e3", "NaN", "5 dollars", "1000001", "9" * 500, "0.1234567", "٣"])
def test_a_budget_that_is_no_amount_asks_for_help(words: str):
    (command,) = commands_in(f"/aicd budget {words}")
    assert (command.verb, command.budget) == (Verb.HELP, None)
    assert "amount in US dollars" in (command.problem or "")


def test_what_is_no_command_asks_for_help_and_says_so():
    assert commands_in("/aicd") == (Command(Verb.HELP),)
    (unknown,) = commands_in("/aicd explode now")
    assert (unknown.verb, unknown.problem) == (Verb.HELP, "`/aicd explode` is no command.")
    (more,) = commands_in("/aicd go away")
    assert (more.verb, more.problem) == (Verb.HELP, "`/aicd go` stands alone on its line.")
    (coded,) = commands_in("/aicd `go`")
    assert coded.verb is Verb.HELP


def test_an_edit_obeys_only_what_it_adds():
    assert commands_added("/aicd plan", "/aicd plan\n/aicd go") == (GO,)
    assert commands_added("/aicd go", "Please, now.\n\n/aicd go") == ()
    assert commands_added("/aicd go", "/aicd go\n\n/aicd go") == (GO,)
    assert commands_added("/aicd stop", "/aicd go") == (GO,)
    assert commands_added("> /aicd go", "/aicd go") == (GO,)
    assert commands_added("/aicd go", None) == ()


@given(st.text(alphabet="/aicdgo \n`>~-#<!|*_[]()\t\\1", max_size=80))
def test_whatever_is_written_it_is_read(text: str):
    for command in commands_in(text):
        assert command.verb in Verb

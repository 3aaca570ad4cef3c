"""Commands to AI-CD in a comment: `/aicd plan|go|stop|retry|budget N|help`. Pure.

A command is a line of its own at the top level of the comment's Markdown: what is quoted, fenced, indented as code, or
in a list, a heading, a table or an HTML comment is text about commands, and none.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import islice, pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from aicd_core.text import one_line

NAME = "/aicd"
MOST = 10
"""Commands of one comment."""
TEXT_MOST = 100_000
"""Characters that are read; GitHub's comments have at most 65,536."""
MICRO = 1_000_000
LARGEST_BUDGET = 1_000_000
"""US dollars; more is a slip of the keyboard."""

_AMOUNT = re.compile(r"\$?([0-9]{1,7}(?:\.[0-9]{1,6})?)(?:\$|usd)?", re.IGNORECASE)
_MARKDOWN = MarkdownIt("commonmark").enable("table")
_SILENT = frozenset({"em_open", "em_close", "strong_open", "strong_close"})
"""Marks that say nothing: `**/aicd go**` is a command."""


class Verb(StrEnum):
    """What a command asks for."""

    PLAN = "plan"
    GO = "go"
    STOP = "stop"
    RETRY = "retry"
    BUDGET = "budget"
    HELP = "help"


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        budget: of `budget N`, in micro-USD.
        problem: a sentence that says why the command was not understood; its verb is then `help`.
    """

    verb: Verb
    budget: int | None = None
    problem: str | None = None


def commands_in(text: str | None) -> tuple[Command, ...]:
    """The commands of a comment, in their order, at most `MOST`."""
    if text is None or NAME not in text.lower():
        return ()
    lines = (line for token in _paragraphs(text[:TEXT_MOST]) for line in _lines(token))
    found = (command for line in lines if (command := _read(line)) is not None)
    return tuple(islice(found, MOST))


def commands_added(before: str | None, after: str | None) -> tuple[Command, ...]:
    """The commands that an edit put into a comment; those that were there have been obeyed."""
    known = Counter(commands_in(before))
    added = []
    for command in commands_in(after):
        if known[command]:
            known[command] -= 1
        else:
            added.append(command)
    return tuple(added)


def _paragraphs(text: str) -> Iterator[Token]:
    """The text of each paragraph at the top level."""
    tokens = _MARKDOWN.parse(text)
    for before, token in pairwise(tokens):
        if before.type == "paragraph_open" and before.level == 0:
            yield token


def _lines(inline: Token) -> list[str]:
    """The lines of a paragraph; in the place of whatever is not plain text stands a mark that no command holds."""
    parts = []
    for child in inline.children or ():
        if child.type == "text":
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif child.type not in _SILENT:
            parts.append("\ufffc")
    return "".join(parts).split("\n")


def _read(line: str) -> Command | None:
    """The command of a line; None where it is none."""
    name, *words = line.lower().split() or [""]
    if name != NAME:
        return None
    if not words:
        return Command(Verb.HELP)
    word, *arguments = words
    if word not in list(Verb):
        return _help(f"`{NAME} {one_line(word, 40)}` is no command.")
    verb = Verb(word)
    if verb is Verb.BUDGET:
        return _budget(arguments)
    if arguments:
        return _help(f"`{NAME} {verb.value}` stands alone on its line.")
    return Command(verb)


def _budget(arguments: list[str]) -> Command:
    amount = _AMOUNT.fullmatch(arguments[0]) if len(arguments) == 1 else None
    if amount is None or Decimal(amount[1]) > LARGEST_BUDGET:
        return _help(f"`{NAME} budget` takes one amount in US dollars, at most {LARGEST_BUDGET:,}: `{NAME} budget 5`.")
    return Command(Verb.BUDGET, budget=int(Decimal(amount[1]) * MICRO))


def _help(problem: str) -> Command:
    return Command(Verb.HELP, problem=problem)

"""Commands that the documents show, taken apart: which program, which words."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from aicd_cli.main import app

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<kind>\w*)\n(?P<text>.*?)^(?P=indent)(?P=fence)$", re.MULTILINE | re.DOTALL
)
SHELL = {"sh", "bash", "shell", "console"}
BEGINS = re.compile(r"(?:export |\.venv/bin/|sudo )?(?:AICD_|(?:aicd|make|curl|git|npm|docker|kubectl)\b)")
PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9/#|]*|.*…")
NO_COMMANDS = {"aicd journal v1"}
"""Names that only look so."""
IN_COMPOSE = re.compile(r"(?:c|docker compose) (?:exec (?:-T )?\w+ (?=aicd )|run (?:--rm )?(?:-e \S+ )*\w+ (.*))")
"""A command in a service's container; `run` of ours is `aicd` by itself."""
INPUT_ONLY = {"/webhooks/github": "post", "/webhooks/stripe": "post"}
"""Routes for other people's webhooks, which openapi.json does not describe."""


@dataclass(frozen=True)
class Shown:
    """A block of commands on a page."""

    page: str
    text: str
    labelled: bool

    @property
    def first(self) -> str:
        return self.text.partition("\n")[0].split("  ")[0].strip()


def pages() -> list[Path]:
    found = [ROOT / "README.md", ROOT / "clients/typescript/README.md", *(ROOT / "docs").glob("*.md")]
    return sorted([*found, *ROOT.glob("apps/*/README.md")])


def blocks() -> Iterator[Shown]:
    """Every block that is the shell's, by its mark or by its first word."""
    for path in pages():
        for found in BLOCK.finditer(path.read_text()):
            text = "".join(line.removeprefix(found["indent"]) for line in found["text"].splitlines(keepends=True))
            if found["kind"] in SHELL or (not found["kind"] and BEGINS.match(text)):
                yield Shown(path.relative_to(ROOT).as_posix(), text, found["kind"] in SHELL)


def lines(text: str) -> list[str]:
    """The lines of a block, those that go on joined."""
    return text.replace("\\\n", " ").splitlines()


def is_synopsis(shown: Shown) -> bool:
    """Whether it tells what may be typed, and is nothing to type."""
    return "[--" in shown.text


def inline() -> Iterator[tuple[str, str]]:
    """Page and text of every piece of code within a line."""
    for path in pages():
        for text in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", BLOCK.sub("", path.read_text())):
            if text not in NO_COMMANDS:
                yield path.relative_to(ROOT).as_posix(), text


def commands(text: str) -> Iterator[list[str]]:
    """The words of each simple command of a shell's text."""
    if "[--" in text:  # a synopsis
        text = re.sub(r"\b([A-Z]+)\|[A-Z]+", r"\1", text).replace("\n ", " ")
        text = re.sub(r"[\[\]()]|\| ", " ", text)
    text = re.sub(r"(?m)(^|\s)#\s.*$", "", text.replace("\\\n", " "))
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    redirected = False
    for token in (*lexer, "\n"):
        if set(token) <= set(";&|()\n"):
            if words and not words[0].startswith("{"):
                yield words
            words, redirected = [], False
        elif set(token) <= set("<>"):
            redirected = True
        elif redirected:
            redirected = False
        elif words or not re.match(r"\w+=", token):
            words.append(token)


def fault(words: list[str], *, whole: bool = True) -> str | None:
    """Why a command cannot be meant; None when it can. `whole`: nothing that it needs may be missing."""
    if (inside := IN_COMPOSE.match(" ".join(words))) is not None:
        words = ["aicd", *inside[1].split()] if inside[1] else words[words.index("aicd") :]
    words = words[1:] if words[0] == "sudo" and words[1:] else words
    program, arguments = words[0].removeprefix(".venv/bin/"), words[1:]
    if program == "aicd":
        return _aicd_fault(arguments, whole=whole)
    if program == "make":
        made = "".join(path.read_text() for path in (ROOT / "Makefile", *ROOT.glob("*.mk")))
        targets = set(re.findall(r"^([a-z][a-z-]*):", made, re.MULTILINE))
        return next((f"make has no {each}" for each in arguments if "=" not in each and each not in targets), None)
    if program == "curl":
        return _curl_fault(arguments)
    return None  # whether there are others is seen when they are run


def _aicd_fault(arguments: list[str], *, whole: bool) -> str | None:
    command = get_command(app)
    context = typer.Context(command, info_name="aicd")
    rest = list(arguments)
    while isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if PLACEHOLDER.fullmatch(name):
            return None
        below = command.get_command(context, name)
        if below is None:
            return f"aicd has no command {name}"
        command, context = below, typer.Context(below, context, info_name=name)
    try:
        given, left, _ = command.make_parser(context).parse_args(rest)
        if left and not isinstance(command, TyperGroup):
            return f"{left} is too much"
        for parameter in command.params:
            value = given.get(parameter.name)
            if not parameter.expose_value or (isinstance(value, str) and PLACEHOLDER.fullmatch(value)):
                continue  # one that is not exposed would do what it says
            if value is not None or whole:
                parameter.process_value(context, value)
    except TyperException as error:
        return str(error) if whole or "requires an argument" not in str(error) else None
    return None


def _curl_fault(arguments: list[str]) -> str | None:
    posts = any(word in {"-d", "--data"} for word in arguments)
    method = arguments[arguments.index("-X") + 1] if "-X" in arguments else "post" if posts else "get"
    url = next(word for word in arguments if word.startswith("http"))
    host, path = re.fullmatch(r"https?://([^/:]+)[^/]*(.*)", url).groups()
    return route_fault(method, path) if host in {"api.example.com", "127.0.0.1", "localhost"} else None


def route_fault(method: str, path: str) -> str | None:
    """Why the API has no such route; None when it has."""
    plain, method = path.partition("?")[0], method.lower()
    if INPUT_ONLY.get(plain) == method:
        return None
    for template, item in json.loads((ROOT / "docs/openapi.json").read_text())["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(template))
        if method in item and re.fullmatch(pattern, plain):
            return None
    return f"the API has no {method.upper()} {plain}"

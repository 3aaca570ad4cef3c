"""Syntax trees of test files, by tree-sitter."""

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_GRAMMARS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "python": ("tree_sitter_python", "language"),
        "javascript": ("tree_sitter_javascript", "language"),
        "typescript": ("tree_sitter_typescript", "language_typescript"),
        "tsx": ("tree_sitter_typescript", "language_tsx"),
        "go": ("tree_sitter_go", "language"),
    }
)
"""A grammar's package and the function in it that gives the language."""

LITERALS: frozenset[str] = frozenset(
    {
        *("string", "integer", "float", "number", "true", "false", "none", "null", "undefined", "regex", "nil"),
        *("template_string", "int_literal", "float_literal", "interpreted_string_literal", "raw_string_literal"),
        *("rune_literal", "concatenated_string"),
    }
)
_STRINGS = frozenset(
    {"string", "template_string", "interpreted_string_literal", "raw_string_literal", "concatenated_string"}
)
_SEPARATORS = frozenset({",", ";"})


_HEAD = 8
"""Tokens; a node is looked at again at each level that a stranger nests, and must not be read whole each time."""


@cache
def _parser(grammar: str) -> "Parser":
    """The parser of a grammar; tree-sitter is loaded at the first test file, which most commands never see."""
    package, function = _GRAMMARS[grammar]
    tree_sitter = importlib.import_module("tree_sitter")
    parser: Parser = tree_sitter.Parser(tree_sitter.Language(getattr(importlib.import_module(package), function)()))
    return parser


def parse(grammar: str, source: str) -> "Node":
    """The root of the source's tree; what is no valid source gives a tree with errors in it, never an exception."""
    return _parser(grammar).parse(source.encode("utf-8", "replace")).root_node


def text(node: "Node | None") -> str:
    """The node's source; nothing for no node."""
    return "" if node is None or node.text is None else node.text.decode("utf-8", "replace")


def line(node: "Node") -> int:
    """The node's first line, 1-based."""
    return node.start_point[0] + 1


def walk(node: "Node") -> Iterator["Node"]:
    """The node and all below it, in the order of the source; no recursion, however deep a stranger nests."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(current.children))


def tokens(node: "Node") -> Iterator[str]:
    """The source's tokens: strings whole and in one style of quotes, no comments, no separators before an end."""
    stack, held = [node], ""
    while stack:
        current = stack.pop()
        if current.type == "comment":
            continue
        if current.type in _STRINGS:
            token = f'"{_unquoted(text(current))}"'
        elif current.children:
            stack.extend(reversed(current.children))
            continue
        else:
            token = text(current)
        if held and token not in {")", "]", "}"}:
            yield held
        held = token if token in _SEPARATORS else ""
        if not held and token.strip():
            yield token


def normal(node: "Node | None") -> str:
    """The node's source without regard to layout, comments and quotes: equal for what means the same."""
    return "" if node is None else " ".join(tokens(node))


def head(node: "Node | None") -> str:
    """The first tokens of the node's normal form: what tells one statement from another, however long it goes on."""
    return "" if node is None else " ".join(islice(tokens(node), _HEAD))


def literals(node: "Node | None") -> frozenset[str]:
    """Every literal in the node, in normal form; names that an enum or a constant goes by are none."""
    if node is None:
        return frozenset()
    return frozenset(normal(found) for found in walk(node) if found.type in LITERALS)


def _unquoted(source: str) -> str:
    body = source.lstrip("rbufRBUF") if source[:1] not in "\"'`" else source
    for quote in ('"""', "'''", '"', "'", "`"):
        if body.startswith(quote) and body.endswith(quote) and len(body) >= 2 * len(quote):
            return body[len(quote) : -len(quote)]
    return body

"""The symbols of a source file, by tree-sitter."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aicd_brain.retrieval.languages import Language, language_of, parser_of
from aicd_brain.retrieval.values import Symbol

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_DEPTH = 12
"""Levels of the tree that are looked into: definitions that anybody would look up are not deeper."""
MAX_HEAD = 120
"""Characters of a symbol's first line."""


def symbols_of(path: str, text: str) -> tuple[Symbol, ...]:
    """The file's definitions in their order; none where its language has no grammar. Never raises for bad source."""
    language = language_of(path)
    if language is None:
        return ()
    root = parser_of(language).parse(text.encode("utf-8", "replace")).root_node
    return tuple(_definitions(root, language, text.split("\n")))


def _definitions(root: "Node", language: Language, lines: list[str]) -> Iterator[Symbol]:
    """Walks down, but not into functions; a definition that is decorated or exported begins where that does."""
    stack: list[tuple[Node, int, int, str, Node | None]] = [(root, 0, 0, "", None)]
    while stack:
        node, level, depth, prefix, wrapper = stack.pop()
        name = _name(node, language)
        if name is not None:
            outer = wrapper or node
            head = _first_line(lines, node.start_point[0])
            yield Symbol(prefix + name, head, outer.start_point[0] + 1, node.end_point[0] + 1, depth)
            if node.type not in language.containers:
                continue
            prefix, depth = f"{prefix}{name}.", depth + 1
        if level < MAX_DEPTH:
            around = (wrapper or node) if node.type in language.wrappers else None
            stack.extend((child, level + 1, depth, prefix, around) for child in reversed(node.named_children))


def _name(node: "Node", language: Language) -> str | None:
    """The name that the node defines, if it is a definition."""
    if node.type in language.values:
        value = node.child_by_field_name("value")
        if value is None or value.type not in language.functions:
            return None
    elif node.type not in language.definitions:
        return None
    named = node.child_by_field_name("name") or node.child_by_field_name("property")
    text = None if named is None else named.text
    return None if text is None else text.decode("utf-8", "replace")


def _first_line(lines: list[str], row: int) -> str:
    return lines[row].strip()[:MAX_HEAD]

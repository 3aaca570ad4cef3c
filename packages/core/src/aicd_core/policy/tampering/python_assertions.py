"""How much a Python assertion pins down: `assert` statements, unittest's methods, mocks, pytest's context managers."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from aicd_core.policy.tampering.grammars import LITERALS, normal, text
from aicd_core.policy.tampering.model import Strength

if TYPE_CHECKING:
    from tree_sitter import Node

BROAD_ERRORS = frozenset({"Exception", "BaseException"})

_EXACT_METHODS = (
    *("Equal", "Equals", "Is", "IsNone", "ListEqual", "DictEqual", "SetEqual", "TupleEqual", "SequenceEqual"),
    *("MultiLineEqual", "CountEqual", "XMLEqual", "JSONEqual", "HTMLEqual", "QuerySetEqual", "NumQueries"),
)
_PART_METHODS = (
    *("In", "NotIn", "Regex", "NotRegex", "Greater", "GreaterEqual", "Less", "LessEqual", "AlmostEqual", "NotEqual"),
    *("NotAlmostEqual", "IsInstance", "NotIsInstance", "IsNot", "Contains", "NotContains", "Logs", "NoLogs"),
)
METHODS: Mapping[str, Strength] = MappingProxyType(
    {f"assert{name}": Strength.EXACT for name in _EXACT_METHODS}
    | {f"assert{name}": Strength.PART for name in _PART_METHODS}
    | dict.fromkeys(("assertTrue", "assertFalse", "assertIsNotNone"), Strength.TRUTH)
    | dict.fromkeys(("assert_called", "assert_awaited"), Strength.TRUTH)
    | dict.fromkeys(("assert_called_once", "assert_not_called", "assert_awaited_once"), Strength.PART)
    | {
        f"assert_{name}": Strength.EXACT
        for name in (
            *("called_with", "called_once_with", "any_call", "has_calls", "awaited_with", "awaited_once_with"),
            *("equal", "array_equal", "frame_equal", "series_equal", "index_equal"),
        )
    }
    | dict.fromkeys(("assert_allclose", "assert_almost_equal", "assert_array_almost_equal"), Strength.PART)
)
"""unittest's, Django's, mock's, numpy's and pandas' assertion methods."""

RAISING = frozenset({"raises", "assertRaises", "assertRaisesRegex", "warns", "assertWarns", "assertWarnsRegex"})

_TRUE_TYPES = frozenset({"true", "string", "integer", "float"})
_FALSE = frozenset({"False", "0", "None", '""', "[ ]", "{ }", "( )"})
_PARTIAL_CALLS = frozenset({"startswith", "endswith", "match", "search", "fullmatch", "all", "any", "isclose"})
_TAUTOLOGY = re.compile(r"^(?:len \( .* \) >= 0|.* >= - ?(?:1e|inf).*|isinstance \( .* , object \))$")


def is_constant_false(node: "Node | None") -> bool:
    """True for a condition that never holds."""
    return normal(node) in _FALSE


def is_constant_true(node: "Node | None") -> bool:
    """True for a condition that always holds; a tuple always does, and is a mistyped `assert (x, "words")`."""
    if node is None:
        return False
    node = bare(node)
    if node.type == "tuple":
        return bool(node.named_children)
    if node.type == "not_operator":
        return is_constant_false(node.child_by_field_name("argument"))
    return node.type in _TRUE_TYPES and not is_constant_false(node)


def bare(node: "Node") -> "Node":
    """The expression without the brackets around it."""
    while node.type == "parenthesized_expression" and node.named_children:
        node = node.named_children[0]
    return node


def conjuncts(node: "Node") -> Iterator["Node"]:
    """The parts of `a and b`, each an assertion of its own."""
    node = bare(node)
    if node.type == "boolean_operator" and any(child.type == "and" for child in node.children):
        for name in ("left", "right"):
            side = node.child_by_field_name(name)
            if side is not None:
                yield from conjuncts(side)
    else:
        yield node


def strength_of(node: "Node", names: Mapping[str, str]) -> Strength:
    """What `assert <node>` pins down.

    Args:
        names: local names with the normal form of what they were assigned, where that is known.
    """
    node = bare(node)
    if is_constant_true(node) or _TAUTOLOGY.match(normal(node)):
        return Strength.NOTHING
    if node.type == "comparison_operator":
        return _of_comparison(node, names)
    if node.type == "boolean_operator":  # an `or`: `conjuncts` has taken the others apart
        sides = [node.child_by_field_name(name) for name in ("left", "right")]
        weakest = min((strength_of(side, names) for side in sides if side is not None), default=Strength.TRUTH)
        return min(weakest, Strength.TRUTH)
    if node.type == "call":
        return Strength.PART if called_name(node) in _PARTIAL_CALLS else Strength.TRUTH
    return Strength.TRUTH


def _of_comparison(node: "Node", names: Mapping[str, str]) -> Strength:
    sides = [child for child in node.named_children if child.type != "comment"]
    operators = [text(child) for child in node.children if not child.is_named or child.type in {"is not", "not in"}]
    first, last = sides[0], sides[-1]
    if operators[:1] == ["=="] or operators[:1] == ["is"]:
        if same(first, last, names) or _is_pair_of_literals(first, last):
            return Strength.NOTHING
        approximate = any("approx (" in normal(side) or "ANY" in normal(side) for side in sides)
        return Strength.PART if approximate else Strength.EXACT
    if normal(last) == "None":
        return Strength.TRUTH
    return Strength.NOTHING if same(first, last, names) and operators[0] in {"<=", ">="} else Strength.PART


def same(first: "Node", last: "Node", names: Mapping[str, str]) -> bool:
    """True when both sides are the same expression, also by way of a local name."""
    left, right = normal(first), normal(last)
    return left == right or names.get(left, left) == names.get(right, right)


def _is_pair_of_literals(first: "Node", last: "Node") -> bool:
    return first.type in LITERALS and last.type in LITERALS and normal(first) == normal(last)


def called_name(call: "Node") -> str:
    """The last part of what is called: `raises` of `pytest.raises(…)`."""
    function = call.child_by_field_name("function")
    if function is not None and function.type == "attribute":
        return text(function.child_by_field_name("attribute"))
    return text(function) if function is not None and function.type == "identifier" else ""


def arguments_of(call: "Node") -> list["Node"]:
    """The arguments, without comments."""
    found = call.child_by_field_name("arguments")
    return [] if found is None else [child for child in found.named_children if child.type != "comment"]


def strength_of_call(call: "Node", names: Mapping[str, str]) -> Strength | None:
    """What a call of an assertion method or of `raises` pins down; None for any other call."""
    name, arguments = called_name(call), arguments_of(call)
    if name in RAISING:
        return _of_raising(name, arguments)
    if name in {"assertTrue", "assertFalse"} and arguments:
        negated = name == "assertFalse"
        if negated and is_constant_false(arguments[0]):
            return Strength.NOTHING
        return Strength.TRUTH if negated else strength_of(arguments[0], names)
    strength = METHODS.get(name)
    compared = len(arguments) >= 2 and name.startswith("assert") and not name.startswith("assert_")
    if strength is not None and compared and same(arguments[0], arguments[1], names):
        return Strength.NOTHING
    return strength


def _of_raising(name: str, arguments: list["Node"]) -> Strength:
    if not arguments or normal(arguments[0]) in BROAD_ERRORS:
        return Strength.TRUTH
    has_words = name.endswith("Regex") or any(normal(argument).startswith("match =") for argument in arguments)
    wide = normal(arguments[0]).startswith("( ") and " Exception" in normal(arguments[0])
    if wide:
        return Strength.TRUTH
    return Strength.EXACT_WORDS if has_words else Strength.EXACT

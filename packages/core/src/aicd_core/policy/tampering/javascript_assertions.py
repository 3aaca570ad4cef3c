"""How much a JavaScript assertion pins down: expect (Jest, Vitest, Playwright, Chai), assert, should, supertest."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from aicd_core.policy.tampering.grammars import LITERALS, normal, text
from aicd_core.policy.tampering.model import Strength

if TYPE_CHECKING:
    from tree_sitter import Node

_EXACT = (
    *("toBe", "toEqual", "toStrictEqual", "toBeNull", "toBeUndefined", "toBeNaN", "toHaveLength", "toHaveText"),
    *("toHaveBeenCalledWith", "toHaveBeenCalledTimes", "toHaveBeenLastCalledWith", "toHaveBeenNthCalledWith"),
    *("toHaveReturnedWith", "toHaveCount", "toHaveValue", "toHaveURL", "toHaveTitle", "toMatchInlineSnapshot"),
    *("equal", "equals", "eql", "eq", "deepEqual", "strictEqual", "deepStrictEqual", "true", "false", "null"),
    *("undefined", "lengthOf", "calledWith", "calledWithExactly", "calledOnceWith", "calledOnceWithExactly", "is"),
    *("toHaveBeenCalledOnce", "toHaveBeenCalledExactlyOnceWith", "empty", "rejects", "isTrue", "isFalse", "isNull"),
)
_TRUTH = (
    *("toBeTruthy", "toBeFalsy", "toBeDefined", "ok", "exist", "exists", "toHaveBeenCalled", "called", "isOk"),
    *("notEqual", "notStrictEqual", "toBeInstanceOf", "toReturn", "isDefined", "assert", "not"),
)
_STRENGTHS: Mapping[str, Strength] = MappingProxyType(
    dict.fromkeys(_EXACT, Strength.EXACT) | dict.fromkeys(_TRUTH, Strength.TRUTH)
)
_RAISING = frozenset({"toThrow", "toThrowError", "throw", "throws", "rejectedWith"})
_ANY = re.compile(r"expect \. (?:any|anything) \(")
_TRUE = re.compile(r'^(?:true|[1-9][0-9]*|! (?:false|0)|! ! true|\[ .*\]|\{ .*\}|"[^"]+")$')
_OR_TRUE = re.compile(r"\|\| (?:true|1|! 0|! false)(?: \)| ;|$)")
_HELPER = re.compile(r"^(?:assert|expect|verify)[A-Z]\w*$")


_LONGEST_CHAIN = 20
"""Names of a chain that are looked at: a stranger's file may have one of a hundred thousand."""


def called_name(call: "Node") -> str:
    """The last name of what is called."""
    function = call.child_by_field_name("function")
    if function is None:
        return ""
    if function.type == "member_expression":
        return text(function.child_by_field_name("property"))
    return text(function) if function.type == "identifier" else ""


def chain_of(call: "Node") -> tuple[list[str], "Node | None"]:
    """The names along a chain such as `expect(x).not.toBe(1)`, and the innermost call's node."""
    names: list[str] = []
    node: Node | None = call
    innermost: Node | None = None
    while node is not None and len(names) < _LONGEST_CHAIN:
        if node.type == "call_expression":
            innermost = node
            node = node.child_by_field_name("function")
        elif node.type in {"member_expression", "subscript_expression"}:
            names.append(text(node.child_by_field_name("property")))
            node = node.child_by_field_name("object")
        elif node.type in {"await_expression", "non_null_expression", "parenthesized_expression"}:
            node = node.named_children[0] if node.named_children else None
        else:
            names.append(text(node))
            break
    return names[::-1], innermost


def arguments_of(call: "Node") -> list["Node"]:
    """The arguments, without comments."""
    found = call.child_by_field_name("arguments")
    return [] if found is None else [child for child in found.named_children if child.type != "comment"]


def strength_of(node: "Node", names: Mapping[str, str]) -> Strength | None:
    """What an assertion's whole chain pins down; None for what is no assertion.

    Args:
        node: a call, or a member as in `expect(x).to.be.true`.
        names: local constants with the normal form of what they were given.
    """
    chain, innermost = chain_of(node)
    if chain[:1] == ["expect"] and innermost is not None:
        return _of_expect(node, chain, innermost, names)
    if chain[:1] == ["assert"] and node.type == "call_expression":
        return _of_assert(node, chain, names)
    if "should" in chain[1:] or (chain[-1:] == ["expect"] and len(chain) > 1 and node.type == "call_expression"):
        return _STRENGTHS.get(chain[-1], Strength.PART)
    if chain[:2] == ["sinon", "assert"]:
        return _STRENGTHS.get(chain[-1], Strength.TRUTH)
    if _HELPER.match(chain[-1]) and node.type == "call_expression":
        return Strength.PART
    return None


def _of_expect(node: "Node", chain: list[str], innermost: "Node", names: Mapping[str, str]) -> Strength:
    subject, expected = arguments_of(innermost), arguments_of(node)
    if chain[1:2] in (["any"], ["anything"], ["objectContaining"], ["arrayContaining"], ["stringContaining"]):
        return Strength.NOTHING
    if node == innermost or not subject:
        return Strength.NOTHING if node == innermost else Strength.TRUTH
    if ({"resolves", "rejects"} & set(chain)) and not _is_awaited(node):
        return Strength.NOTHING
    matcher = chain[-1]
    value = normal(subject[0])
    if _is_trivial(subject[0], value, matcher, expected, names):
        return Strength.NOTHING
    return _of_matcher(matcher, chain, expected)


def _is_trivial(subject: "Node", value: str, matcher: str, expected: list["Node"], names: Mapping[str, str]) -> bool:
    if _OR_TRUE.search(value):
        return True
    if expected and len(expected) == 1 and _STRENGTHS.get(matcher) is Strength.EXACT:
        other = normal(expected[0])
        if names.get(value, value) == names.get(other, other):
            return True
    return subject.type in LITERALS | {"array", "object"} and (
        matcher in {"toBeTruthy", "toBeDefined", "ok", "true", "exist", "toBeFalsy", "false"}
        or (bool(expected) and expected[0].type in LITERALS)
    )


def _of_matcher(matcher: str, chain: list[str], expected: list["Node"]) -> Strength:
    if matcher in _RAISING:
        if "not" in chain or not expected or normal(expected[0]) == "Error":
            return Strength.TRUTH
        return Strength.EXACT_WORDS if len(expected) > 1 or "( " in normal(expected[0]) else Strength.EXACT
    strength = _STRENGTHS.get(matcher, Strength.PART)
    if any(_ANY.search(normal(argument)) for argument in expected):
        strength = min(strength, Strength.PART if "{" in normal(expected[0]) else Strength.TRUTH)
    # `not.toBe(1)` leaves everything else possible, `not.toBeNull()` nearly everything.
    return min(strength, Strength.PART if expected else Strength.TRUTH) if "not" in chain else strength


def _of_assert(node: "Node", chain: list[str], names: Mapping[str, str]) -> Strength:
    arguments = arguments_of(node)
    if not arguments:
        return Strength.TRUTH
    first = normal(arguments[0])
    if len(chain) == 1 or chain[-1] in {"ok", "isOk", "isTrue"}:
        return _of_condition(arguments[0], first, names)
    if len(arguments) > 1:
        second = normal(arguments[1])
        if names.get(first, first) == names.get(second, second):
            return Strength.NOTHING
    if chain[-1] in _RAISING | {"rejects"}:
        return Strength.EXACT if len(arguments) > 1 else Strength.TRUTH
    return _STRENGTHS.get(chain[-1], Strength.PART)


def _of_condition(node: "Node", source: str, names: Mapping[str, str]) -> Strength:
    if _TRUE.match(source) or _OR_TRUE.search(source):
        return Strength.NOTHING
    if node.type == "binary_expression":
        operator = text(node.child_by_field_name("operator"))
        left, right = (normal(node.child_by_field_name(side)) for side in ("left", "right"))
        if operator in {"===", "=="}:
            return Strength.NOTHING if names.get(left, left) == names.get(right, right) else Strength.EXACT
        return Strength.TRUTH if operator in {"||", "!==", "!="} else Strength.PART
    return Strength.TRUTH


def is_false(node: "Node | None") -> bool:
    """True for a condition that never holds."""
    return normal(node).removeprefix("( ").removesuffix(" )") in {"false", "0", "! true", "null", "undefined"}


def _is_awaited(node: "Node") -> bool:
    above = node.parent
    while above is not None and above.type in {"parenthesized_expression", "member_expression", "call_expression"}:
        above = above.parent
    waiting = {"await_expression", "return_statement", "arrow_function", "arguments", "array"}
    return above is not None and above.type in waiting

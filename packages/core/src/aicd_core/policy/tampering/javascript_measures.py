"""What of a JavaScript test can be counted: cases, time-outs, bounds, and what it replaces by stand-ins."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from aicd_core.policy.tampering import javascript_assertions as assertions
from aicd_core.policy.tampering.grammars import normal, text, walk

if TYPE_CHECKING:
    from tree_sitter import Node

_MOCKING = frozenset({"spyOn", "replace", "stub", "replaceProperty"})
_TIMEOUT_CALLS = frozenset({"setTimeout", "timeout", "setConfig"})


def rows(call: "Node") -> int:
    """The cases of `it.each([...])`."""
    function = call.child_by_field_name("function")
    if function is None:
        return 0
    arrays = [child for node in [function] for child in walk(node) if child.type == "array"]
    templates = [child for child in walk(function) if child.type == "template_string"]
    lines = max((len(text(child).strip("`").strip().splitlines()) - 1 for child in templates), default=0)
    return max([lines, *(len(array.named_children) for array in arrays[:1])])


def timeout(call: "Node") -> dict[str, float]:
    numbers = [argument for argument in assertions.arguments_of(call)[1:] if argument.type == "number"]
    return _as_bounds(("time-out", text(number)) for number in numbers)


def bounds(calls: Iterable["Node"]) -> dict[str, float]:
    """Time-outs, digits of `toBeCloseTo`, and the constants that values are compared with."""
    return _as_bounds(pair for call in calls for pair in _bounds_of(call))


def _bounds_of(call: "Node") -> Iterator[tuple[str, str]]:
    names, innermost = assertions.chain_of(call)
    arguments = [normal(argument) for argument in assertions.arguments_of(call)]
    if names[-1] in _TIMEOUT_CALLS and names[0] in {"jest", "vi", "this", "test"} and arguments:
        yield "time-out", arguments[-1]
    elif names[-1] == "toBeCloseTo" and len(arguments) > 1:
        yield "digits", arguments[1]
    elif names[-1] in {"toBeLessThan", "toBeLessThanOrEqual"} and arguments and innermost is not None:
        yield f"below {normal(innermost)}", arguments[0]


def _as_bounds(pairs: Iterable[tuple[str, str]]) -> dict[str, float]:
    widest: dict[str, float] = {}
    for name, value in pairs:
        try:
            widest[name] = max(widest.get(name, 0.0), float(value.replace("_", "")))
        except ValueError:
            continue
    return widest


def mocked(calls: Iterable["Node"]) -> Iterator[str]:
    """The names of what is replaced by a stand-in."""
    for call in calls:
        if assertions.called_name(call) in _MOCKING:
            yield from (normal(a).strip('"') for a in assertions.arguments_of(call)[1:2] if a.type == "string")

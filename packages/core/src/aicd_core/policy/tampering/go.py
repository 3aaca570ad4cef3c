"""Reading a Go test file: the testing package, testify and go-cmp."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from aicd_core.policy.tampering.grammars import head, line, literals, normal, parse, text, walk
from aicd_core.policy.tampering.model import Assertion, Routine, Strength, TestModule

if TYPE_CHECKING:
    from tree_sitter import Node

_TEST_NAME = re.compile(r"^(?:Test|Fuzz|Example)(?![a-z])\w*$")
_FAILING = re.compile(r"^\w+ \. (?:Error|Errorf|Fatal|Fatalf|Fail|FailNow) \(")
_SKIP = re.compile(r"^\w+ \. (?:Skip|Skipf|SkipNow) \(")
_CHECKERS = re.compile(r"^(?:assert|require|is|s|suite|c|g)$|^(?:assert|require)\w*$")
_BUILD = re.compile(r"^//\s*(?:go:build|\+build)\s+(.+)$", re.MULTILINE)
_EXIT = re.compile(r"\bos\.Exit\(0\)")
_FALSE = frozenset({"false", "! true", "1 == 0", "0 == 1"})

_EXACT = (
    *("Equal", "EqualValues", "Exactly", "Equalf", "Same", "ErrorIs", "ErrorAs", "EqualError", "JSONEq", "YAMLEq"),
    *("Len", "Nil", "Empty", "ElementsMatch", "Zero", "False", "Exact"),
)
_TRUTH = ("True", "Truef", "NoError", "Error", "NotNil", "NotEmpty", "NotZero", "NotPanics", "Panics", "NotEqual")
_METHODS: Mapping[str, Strength] = MappingProxyType(
    dict.fromkeys(_EXACT, Strength.EXACT)
    | dict.fromkeys(_TRUTH, Strength.TRUTH)
    | dict.fromkeys(("Contains", "Greater", "Less", "InDelta", "InEpsilon", "Regexp", "Subset"), Strength.PART)
    | dict.fromkeys(("GreaterOrEqual", "LessOrEqual", "NotContains", "WithinDuration", "Implements"), Strength.PART)
    | dict.fromkeys(("ErrorContains", "PanicsWithError", "PanicsWithValue", "IsType"), Strength.EXACT)
)
"""testify's methods. `False` and `Empty` leave one value, `True` says no more than what it is given."""


def read_go(path: str, source: str) -> TestModule:
    """The tests and functions of one version of a Go test file."""
    root = parse("go", source)
    head = source.split("package ", 1)[0]
    switches = {f"go:build {match[1].strip()}" for match in _BUILD.finditer(head)}
    switches |= {match.group() for match in _EXIT.finditer(source)}
    return TestModule(path, tuple(_routines(root)), frozenset(switches))


def _routines(root: "Node") -> Iterator[Routine]:
    for node in root.named_children:
        body = node.child_by_field_name("body")
        if node.type not in {"function_declaration", "method_declaration"} or body is None:
            continue
        name = text(node.child_by_field_name("name"))
        receiver = normal(node.child_by_field_name("receiver"))
        in_suite = "Suite" in receiver and name.startswith("Test")
        takes_t = "testing ." in normal(node.child_by_field_name("parameters")) or name.startswith("Example")
        scan = _Scan()
        scan.block(body, certain=True)
        called = tuple(_called(call) for call in walk(body) if call.type == "call_expression")
        yield Routine(
            name=f"{receiver} {name}".strip(),
            short=name,
            line=line(node),
            collected=(takes_t or in_suite) and _TEST_NAME.match(name) is not None,
            assertions=tuple(scan.found),
            skip=scan.skip,
            conditional=scan.conditional,
            rows=_rows(body),
            bounds=_bounds(body),
            marks=frozenset({"recovered"} if "recover" in called else ()),
            literals=literals(body),
            calls=frozenset(called),
            helpers=called,
            body=normal(body),
        )


def _called(call: "Node") -> str:
    function = call.child_by_field_name("function")
    if function is not None and function.type == "selector_expression":
        return text(function.child_by_field_name("field"))
    return text(function) if function is not None and function.type == "identifier" else ""


def _owner(call: "Node") -> str:
    """The last name of what a method is called on: `Assert` of `s.Assert().Equal(…)`."""
    function = call.child_by_field_name("function")
    operand = function.child_by_field_name("operand") if function is not None else None
    if operand is None:
        return ""
    return (
        _called(operand).lower()
        if operand.type == "call_expression"
        else text(operand.children[-1] if operand.children else operand)
    )


def _arguments(call: "Node") -> list["Node"]:
    found = call.child_by_field_name("arguments")
    return [] if found is None else [child for child in found.named_children if child.type != "comment"]


@dataclass
class _Scan:
    """Walks a function's statements as they would run."""

    found: list[Assertion] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    skip: str | None = None
    conditional: bool = False

    def block(self, node: "Node", *, certain: bool) -> None:
        """One row of statements; what comes after the function was left is not reached."""
        for statement in _statements(node):
            source = head(statement)
            skips = _SKIP.match(source) is not None
            if skips or statement.type == "return_statement":
                if skips or (certain and not any(a.strength for a in self.found)):
                    self.skip, self.conditional = self.skip or source, not certain
                return
            self._statement(statement, certain=certain)

    def _statement(self, node: "Node", *, certain: bool) -> None:
        if node.type == "if_statement":
            self._if(node)
            return
        if node.type in {"short_var_declaration", "assignment_statement"}:
            self.names[normal(node.child_by_field_name("left"))] = normal(node.child_by_field_name("right"))
        if node.type == "block":
            self.block(node, certain=certain)
            return
        self._calls(node)

    def _if(self, node: "Node") -> None:
        condition, body = node.child_by_field_name("condition"), node.child_by_field_name("consequence")
        start = node.child_by_field_name("initializer")
        if start is not None:
            self._statement(start, certain=False)
        if body is None or condition is None:
            return
        never = normal(condition) in _FALSE or normal(condition).startswith("false &&")
        if any(_FAILING.match(head(statement)) for statement in _statements(body)):
            for part in _disjuncts(condition):
                strength = Strength.NOTHING if never else self._of_condition(part)
                self._add(part, strength)
        elif not never:
            self.block(body, certain=False)
        other = node.child_by_field_name("alternative")
        if other is not None:
            self._statement(other, certain=False)

    def _calls(self, node: "Node") -> None:
        """testify's calls, and the blocks of loops and of functions that are passed on, such as those of `t.Run`."""
        stack = list(reversed(node.named_children)) or [node]
        while stack:
            current = stack.pop()
            if current.type == "block":
                self.block(current, certain=False)
                continue
            strength = self._of_call(current) if current.type == "call_expression" else None
            if strength is not None:
                self._add(current, strength)
            stack.extend(reversed(current.named_children))

    def _of_call(self, call: "Node") -> Strength | None:
        name, owner = _called(call), _owner(call)
        strength = _METHODS.get(name.removesuffix("f") if name not in _METHODS else name)
        if strength is None or not _CHECKERS.match(owner):
            return None
        sources = [normal(argument) for argument in _arguments(call)]
        values = sources[1:] if sources[:1] in (["t"], ["b"]) else sources
        if len(values) >= 2 and strength is not Strength.TRUTH and self._same(values[0], values[1]):
            return Strength.NOTHING
        if values[:1] == ["true"] and name.startswith("True"):
            return Strength.NOTHING
        if name.startswith("True") and " == " in values[0] and "||" not in values[0]:
            return Strength.EXACT
        return strength

    def _of_condition(self, node: "Node") -> Strength:
        """What is pinned down by failing when the condition holds."""
        if node.type != "binary_expression":
            return Strength.PART if "Contains" in text(node) or "Equal" in text(node) else Strength.TRUTH
        operator = text(node.child_by_field_name("operator"))
        left, right = (normal(node.child_by_field_name(side)) for side in ("left", "right"))
        if self._same(left, right):
            return Strength.NOTHING
        if operator == "!=":
            return Strength.TRUTH if right == "nil" else Strength.EXACT
        if operator == "==":
            return Strength.TRUTH
        return Strength.TRUTH if operator == "&&" else Strength.PART

    def _same(self, left: str, right: str) -> bool:
        return left == right or self.names.get(left, left) == self.names.get(right, right)

    def _add(self, node: "Node", strength: Strength) -> None:
        called = frozenset(_called(call) for call in walk(node) if call.type == "call_expression")
        self.found.append(Assertion(normal(node), strength, line(node), literals(node), called))


def _statements(node: "Node") -> Iterator["Node"]:
    """The statements of a block; newer grammars wrap them in a list."""
    for child in node.named_children:
        if child.type == "statement_list":
            yield from (below for below in child.named_children if below.type != "comment")
        elif child.type != "comment":
            yield child


def _disjuncts(node: "Node") -> Iterator["Node"]:
    """The parts of `a || b`, each of which makes the test fail."""
    while node.type == "parenthesized_expression":
        node = node.named_children[0]
    if node.type == "binary_expression" and text(node.child_by_field_name("operator")) == "||":
        for name in ("left", "right"):
            side = node.child_by_field_name(name)
            if side is not None:
                yield from _disjuncts(side)
    else:
        yield node


def _rows(body: "Node") -> int:
    """The longest table of cases: a slice, an array or a map written out."""
    tables = [
        found.child_by_field_name("body")
        for found in walk(body)
        if found.type == "composite_literal" and "_type" in getattr(found.child_by_field_name("type"), "type", "")
    ]
    return max((table.named_child_count for table in tables if table is not None and _is_table(table)), default=0)


def _is_table(table: "Node") -> bool:
    kind = getattr(table.parent and table.parent.child_by_field_name("type"), "type", "")
    return kind in {"slice_type", "map_type", "array_type", "implicit_length_array_type"}


def _bounds(body: "Node") -> dict[str, float]:
    """The last argument of InDelta and InEpsilon."""
    found: dict[str, float] = {}
    for call in (node for node in walk(body) if node.type == "call_expression"):
        arguments = _arguments(call)
        if _called(call) in {"InDelta", "InEpsilon"} and arguments:
            number = next((text(a) for a in arguments[3:] if a.type in {"float_literal", "int_literal"}), "0")
            found["delta"] = max(found.get("delta", 0.0), float(number.replace("_", "")))
    return found

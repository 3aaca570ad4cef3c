"""Reading a Python test file: pytest's and unittest's tests, and the functions beside them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aicd_core.policy.tampering import python_assertions as assertions
from aicd_core.policy.tampering.grammars import head, line, literals, normal, parse, text, walk
from aicd_core.policy.tampering.model import Assertion, Routine, Strength, TestModule

if TYPE_CHECKING:
    from tree_sitter import Node

_SKIP_MARK = re.compile(r"\b(?:mark\.skip|mark\.xfail|unittest\.skip|expectedFailure|skip)(?:\b(?!if|If|Unless)|$)")
_MAYBE_SKIP = re.compile(r"\b(?:skipif|skipIf|skipUnless)\b")
_ALWAYS = re.compile(r"\b(?:skipif|skipIf)\s*\(\s*(?:True|1|not False)\s*[,)]|\bskipUnless\s*\(\s*(?:False|0)\s*[,)]")
_SKIP_CALL = re.compile(r"^(?:pytest \. (?:skip|xfail)|self \. skipTest|(?:raise )?(?:unittest \. )?SkipTest|skip) ?\(")
_RETRY = re.compile(r"\b(?:flaky|rerun|retry|reruns)\b")
_BOUNDS = frozenset({"rel", "abs", "rtol", "atol", "delta", "places", "decimal", "rel_tol", "abs_tol", "timeout"})
_MOCKING = frozenset({"patch", "object", "setattr", "spy"})
_HOOKS = frozenset(
    {
        *("pytest_collection_modifyitems", "pytest_ignore_collect", "pytest_runtest_makereport"),
        *("pytest_runtest_call", "pytest_sessionfinish", "pytest_collect_file", "pytest_pyfunc_call"),
    }
)
_EXITS = frozenset({"os._exit", "sys.exit", "pytest.exit"})
_LONGEST_EXIT = 20
_SWITCHES = frozenset({"__test__", "collect_ignore", "collect_ignore_glob", "pytestmark"})


@dataclass(frozen=True)
class _Owner:
    """The class, or the module, that a function stands in."""

    prefix: str = ""
    collected: bool = True
    skip: str | None = None
    conditional: bool = False
    marks: frozenset[str] = frozenset()


def read_python(path: str, source: str) -> TestModule:
    """The tests and functions of one version of a Python file."""
    root = parse("python", source)
    return TestModule(path, tuple(_routines(root, _Owner())), frozenset(_switches(root)))


def _switches(root: "Node") -> Iterator[str]:
    """What at the top of the file keeps all of it, or of the whole run, from running as it did."""
    for node in root.named_children:
        _, definition = _undecorated(node)
        if definition.type == "function_definition" and text(definition.child_by_field_name("name")) in _HOOKS:
            yield normal(definition)
        if node.type != "expression_statement":
            continue
        source = normal(node)
        name = source.split(" ", 1)[0]
        harmless = name == "pytestmark" and not (_SKIP_MARK.search(text(node)) or _MAYBE_SKIP.search(text(node)))
        if (name in _SWITCHES and not harmless) or _SKIP_CALL.match(source):
            yield source
    called = (call.child_by_field_name("function") for call in walk(root) if call.type == "call")
    # A chain of a hundred thousand calls is not read whole at each of its links.
    short = (text(name) for name in called if name is not None and name.end_byte - name.start_byte < _LONGEST_EXIT)
    yield from (name for name in short if name in _EXITS)


def _routines(block: "Node", owner: _Owner) -> Iterator[Routine]:
    for node in block.named_children:
        decorators, definition = _undecorated(node)
        body = definition.child_by_field_name("body")
        if definition.type == "class_definition" and body is not None:
            yield from _routines(body, _class_owner(definition, decorators, owner))
        elif definition.type == "function_definition" and body is not None:
            yield _routine(definition, body, decorators, owner)
        elif node.type == "if_statement" and not assertions.is_constant_false(node.child_by_field_name("condition")):
            consequence = node.child_by_field_name("consequence")
            if consequence is not None:
                yield from _routines(consequence, owner)


def _undecorated(node: "Node") -> tuple[list["Node"], "Node"]:
    if node.type != "decorated_definition":
        return [], node
    definition = node.child_by_field_name("definition")
    return [child for child in node.children if child.type == "decorator"], definition or node


def _class_owner(definition: "Node", decorators: list["Node"], outer: _Owner) -> _Owner:
    name = text(definition.child_by_field_name("name"))
    bases = text(definition.child_by_field_name("superclasses"))
    body = definition.child_by_field_name("body")
    own = [child for child in (body.named_children if body else []) if child.type == "function_definition"]
    has_init = any(text(child.child_by_field_name("name")) == "__init__" for child in own)
    collected = outer.collected and ((name.startswith("Test") and not has_init) or "Test" in bases)
    skip, conditional = _skip_of(decorators)
    off = any(normal(child).replace(" ", "") == "__test__=False" for child in (body.named_children if body else []))
    return _Owner(
        f"{outer.prefix}{name}.",
        collected and not off,
        skip or outer.skip,
        conditional if skip else outer.conditional,
        _marks_of(decorators) | outer.marks,
    )


def _skip_of(decorators: Iterable["Node"]) -> tuple[str | None, bool]:
    """The decorator that keeps something from running, and whether that depends on something."""
    for decorator in decorators:
        source = text(decorator)
        if _MAYBE_SKIP.search(source):
            return source, _ALWAYS.search(source) is None
        if _SKIP_MARK.search(source.split("(", 1)[0]):
            return source, False
    return None, False


def _marks_of(decorators: Iterable["Node"]) -> frozenset[str]:
    return frozenset("retried" for decorator in decorators if _RETRY.search(text(decorator)))


def _routine(definition: "Node", body: "Node", decorators: list["Node"], owner: _Owner) -> Routine:
    name = text(definition.child_by_field_name("name"))
    scan = _Scan()
    scan.block(body, certain=True, muted=False)
    skip, conditional = _skip_of(decorators)
    calls = [call for part in (body, *decorators) for call in walk(part) if call.type == "call"]
    called = tuple(map(assertions.called_name, calls))
    return Routine(
        name=owner.prefix + name,
        short=name,
        line=line(definition),
        collected=owner.collected and name.startswith("test"),
        assertions=tuple(scan.found),
        skip=skip or owner.skip or scan.skip,
        conditional=conditional if skip else (owner.conditional if owner.skip else scan.conditional),
        rows=max((_rows(part) for part in (*decorators, body)), default=0),
        bounds=_bounds(calls) | _limits(body),
        marks=_marks_of(decorators) | owner.marks,
        literals=literals(body) | frozenset(item for decorator in decorators for item in literals(decorator)),
        calls=frozenset(called),
        helpers=called,
        mocked=frozenset(_mocked([*calls, *scan.assigned])),
        body=normal(body),
    )


@dataclass
class _Scan:
    """Walks a function's statements as they would run."""

    found: list[Assertion] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    assigned: list["Node"] = field(default_factory=list)
    skip: str | None = None
    conditional: bool = False

    def block(self, node: "Node", *, certain: bool, muted: bool) -> None:
        """One row of statements; what comes after the function was left is not reached."""
        for statement in node.named_children:
            source = head(statement)
            skips = _SKIP_CALL.match(source.removeprefix("raise ")) is not None
            if skips or statement.type == "return_statement":
                if (certain and not any(a.strength for a in self.found)) or skips:
                    self.skip, self.conditional = self.skip or source, not certain
                return
            self._statement(statement, certain=certain, muted=muted)

    def _statement(self, node: "Node", *, certain: bool, muted: bool) -> None:
        if node.type == "assert_statement":
            for part in assertions.conjuncts(node.named_children[0]):
                self._add(part, assertions.strength_of(part, self.names), muted=muted)
            return
        if node.type == "expression_statement":
            self._note_assignment(node)
            self._calls(node, muted=muted)
            return
        if node.type == "with_statement":
            muted = self._with(node, muted=muted)
        if node.type == "try_statement":
            muted = muted or _swallows(node)
        always = assertions.is_constant_true(node.child_by_field_name("condition"))
        never = node.type in {"if_statement", "while_statement"} and assertions.is_constant_false(
            node.child_by_field_name("condition")
        )
        straight = certain and (node.type in {"with_statement", "try_statement"} or always)
        self._below(node, certain=straight, muted=muted, never=never)

    def _below(self, node: "Node", *, certain: bool, muted: bool, never: bool) -> None:
        """The blocks of a compound statement; one that a constant condition shuts out is not looked at."""
        shut = node.child_by_field_name("consequence") or node.child_by_field_name("body")
        for child in node.named_children:
            if never and child == shut:
                continue
            if child.type == "block":
                self.block(child, certain=certain, muted=muted)
            elif child.named_children and child.type not in {"with_clause", "comment"}:
                self._below(child, certain=False, muted=muted and child.type != "except_clause", never=False)

    def _with(self, node: "Node", *, muted: bool) -> bool:
        """Notes what the context managers assert; returns whether an assertion in the body could fail unseen."""
        for clause in (child for child in node.named_children if child.type == "with_clause"):
            self._calls(clause, muted=muted)
            source = normal(clause)
            if "suppress (" in source and re.search(r"\b(?:AssertionError|Exception|BaseException)\b", source):
                muted = True
        return muted

    def _note_assignment(self, node: "Node") -> None:
        for child in node.named_children:
            if child.type == "assignment":
                self.assigned.append(child)
                self.names[normal(child.child_by_field_name("left"))] = normal(child.child_by_field_name("right"))

    def _calls(self, node: "Node", *, muted: bool) -> None:
        for call in (found for found in walk(node) if found.type == "call"):
            strength = assertions.strength_of_call(call, self.names)
            if strength is not None:
                self._add(call, strength, muted=muted)

    def _add(self, node: "Node", strength: Strength, *, muted: bool) -> None:
        called = frozenset(assertions.called_name(call) for call in walk(node) if call.type == "call")
        weight = Strength.NOTHING if muted else strength
        self.found.append(Assertion(normal(node), weight, line(node), literals(node), called))


def _swallows(node: "Node") -> bool:
    """True when a failed assertion in the body is caught and not raised again."""
    for clause in (child for child in node.named_children if child.type == "except_clause"):
        source = normal(clause)
        caught = re.match(r"except (?:\( )?(?:.*\b)?(?:AssertionError|Exception|BaseException)\b|except :", source)
        if caught and not re.search(r"\braise\b|\bfail \(|\bassert\b|\bassert\w+ \(", source):
            return True
    return False


def _rows(node: "Node") -> int:
    """The longest list of cases: of `parametrize`, or of a loop."""
    lists = [
        child
        for found in walk(node)
        if (found.type == "call" and assertions.called_name(found) == "parametrize") or found.type == "for_statement"
        for child in (assertions.arguments_of(found)[1:] or found.named_children[1:2])
        if child.type in {"list", "tuple"}
    ]
    return max((len(cases.named_children) for cases in lists), default=0)


def _bounds(calls: Iterable["Node"]) -> dict[str, float]:
    """Tolerances and time-outs given by keyword, the widest of each; the third argument of assertAlmostEqual."""
    widest: dict[str, float] = {}
    for call in calls:
        for argument in assertions.arguments_of(call):
            name = text(argument.child_by_field_name("name"))
            if argument.type == "keyword_argument" and name in _BOUNDS:
                _widen(widest, name, text(argument.child_by_field_name("value")))
        if assertions.called_name(call) == "timeout" and assertions.arguments_of(call):
            _widen(widest, "timeout", text(assertions.arguments_of(call)[0]))
    return widest


def _limits(body: "Node") -> dict[str, float]:
    """The constant side of each `<` or `>` that is asserted, by the other side."""
    found: dict[str, float] = {}
    for node in walk(body):
        if node.type == "comparison_operator" and node.parent is not None and node.parent.type == "assert_statement":
            sides = [normal(side) for side in node.named_children]
            operator = next((text(child) for child in node.children if not child.is_named), "")
            if len(sides) == 2 and operator in {"<", "<="}:
                _widen(found, f"below {sides[0]}", sides[1])
    return found


def _widen(widest: dict[str, float], name: str, value: str) -> None:
    try:
        widest[name] = max(widest.get(name, 0.0), float(value.replace("_", "")))
    except ValueError:
        return


def _mocked(nodes: Iterable["Node"]) -> Iterator[str]:
    """The last names of what is replaced by a stand-in: by a patch, or by an assignment of a lambda or a mock."""
    for node in nodes:
        if node.type == "assignment":
            left, right = normal(node.child_by_field_name("left")), normal(node.child_by_field_name("right"))
            if " . " in left and re.match(r"lambda\b|(?:mock \. )?(?:Magic|Async)?Mock \(", right):
                yield left.rsplit(" ", 1)[-1]
        elif assertions.called_name(node) in _MOCKING:
            for argument in assertions.arguments_of(node):
                if argument.type == "string":
                    yield normal(argument).strip('"').rsplit(".", 1)[-1]

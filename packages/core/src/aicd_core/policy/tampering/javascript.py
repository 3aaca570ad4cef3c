"""Reading a JavaScript or TypeScript test file: Jest, Vitest, Mocha, Jasmine, Playwright, node:test."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aicd_core.policy.tampering import javascript_assertions as assertions
from aicd_core.policy.tampering import javascript_measures as measures
from aicd_core.policy.tampering.grammars import head, line, literals, normal, parse, text, walk
from aicd_core.policy.tampering.model import Assertion, Routine, Strength, TestModule

if TYPE_CHECKING:
    from tree_sitter import Node

_TESTS = frozenset({"it", "test", "specify", "fit", "xit", "xtest", "xspecify"})
_SUITES = frozenset({"describe", "context", "suite", "fdescribe", "xdescribe", "xcontext", "fcontext"})
_OFF = frozenset({"skip", "todo", "fixme", "fails", "failing"})
_MAYBE_OFF = frozenset({"skipIf", "runIf"})
_FUNCTIONS = frozenset({"arrow_function", "function_expression", "function_declaration", "function"})
_SKIP_CALL = re.compile(r"^(?:this|test|it|t|ctx|context) \. (?:skip|fixme|todo) \(|^pending \(")
_RETRY = re.compile(r"\b(?:jest\.retryTimes|this\.retries|retries|retry)\b\s*[:(]")
_EXITS = re.compile(r"\bprocess\.exit\s*\(\s*0?\s*\)")
_FILE_SKIPS = re.compile(r"^(?:test|describe|it|suite)\.(?:skip|only|fixme)\s*\(\s*\)")
_ENDINGS = {"ts": "typescript", "mts": "typescript", "cts": "typescript", "tsx": "tsx"}


@dataclass(frozen=True)
class _Suite:
    """The describe blocks around a test."""

    prefix: str = ""
    skip: str | None = None
    conditional: bool = False
    marks: frozenset[str] = frozenset()


def read_javascript(path: str, source: str) -> TestModule:
    """The tests and functions of one version of a JavaScript or TypeScript file."""
    root = parse(_ENDINGS.get(path.rsplit(".", 1)[-1], "javascript"), source)
    switches = {match.group() for match in _EXITS.finditer(source)}
    switches |= {normal(node) for node in root.named_children if _FILE_SKIPS.match(text(node))}
    if _RETRY.search(source):
        switches |= {normal(n) for n in root.named_children if n.type == "expression_statement" and _retries(n)}
    return TestModule(path, tuple(_routines(root, _Suite())), frozenset(switches))


def _retries(node: "Node") -> bool:
    return node.named_child_count == 1 and _RETRY.match(text(node)) is not None


def _routines(block: "Node", suite: _Suite) -> Iterator[Routine]:
    for node in block.named_children:
        call = _call_of(node)
        if call is not None:
            names, _ = assertions.chain_of(call)
            title = _title(call)
            if names[0] in _SUITES or (names[:2] == ["test", "describe"]):
                body = _body_of(call)
                if body is not None:
                    yield from _routines(body, _inner(suite, names, title))
            elif names[0] in _TESTS and title is not None and names[1:2] not in (["step"], ["use"]):
                yield _test(call, names, title, suite)
        elif (helper := _helper(node)) is not None:
            yield helper
        elif node.type in {"export_statement", "statement_block"}:
            yield from _routines(node, suite)
        elif node.type == "if_statement" and not assertions.is_false(node.child_by_field_name("condition")):
            consequence = node.child_by_field_name("consequence")
            if consequence is not None:
                yield from _routines(consequence, suite)


def _call_of(node: "Node") -> "Node | None":
    inner = node.named_children[0] if node.type == "expression_statement" and node.named_children else node
    if inner.type == "await_expression" and inner.named_children:
        inner = inner.named_children[0]
    return inner if inner.type == "call_expression" else None


def _title(call: "Node") -> str | None:
    arguments = assertions.arguments_of(call)
    return normal(arguments[0]).strip('"') if arguments else None


def _body_of(call: "Node") -> "Node | None":
    functions = [argument for argument in assertions.arguments_of(call) if argument.type in _FUNCTIONS]
    return functions[-1].child_by_field_name("body") if functions else None


def _inner(suite: _Suite, names: list[str], title: str | None) -> _Suite:
    skip, conditional = _skip_of(names)
    return _Suite(
        f"{suite.prefix}{title} > ",
        skip or suite.skip,
        conditional if skip else suite.conditional,
        suite.marks | _marks_of(names),
    )


def _skip_of(names: list[str]) -> tuple[str | None, bool]:
    """What the call's own name says of whether it is run."""
    if names[0].startswith("x") or _OFF & set(names[1:]):
        return ".".join(names), False
    maybe = bool(_MAYBE_OFF & set(names[1:]))
    return (".".join(names) if maybe else None), maybe


def _marks_of(names: list[str]) -> frozenset[str]:
    focused = names[0] in {"fit", "fdescribe", "fcontext"} or "only" in names[1:]
    return frozenset({"focused"} if focused else ())


def _helper(node: "Node") -> Routine | None:
    """A function at the top of the file, or a constant that is one."""
    if node.type == "lexical_declaration" and node.named_children:
        node = node.named_children[0]
    function = node.child_by_field_name("value") if node.type == "variable_declarator" else node
    if function is None or function.type not in _FUNCTIONS:
        return None
    name, body = text(node.child_by_field_name("name")), function.child_by_field_name("body")
    return None if body is None else _routine(name, name, node, body, collected=False)


def _test(call: "Node", names: list[str], title: str, suite: _Suite) -> Routine:
    body = _body_of(call)
    skip, conditional = _skip_of(names)
    if skip is None:
        skip, conditional = suite.skip, suite.conditional
    if body is None and skip is None:
        skip = "no body"
    marks = suite.marks | _marks_of(names)
    routine = _routine(f"{suite.prefix}{title}", title, call, body or call, collected=True)
    return Routine(
        **{
            **vars(routine),
            "skip": skip or routine.skip,
            "conditional": conditional if skip else routine.conditional,
            "marks": marks | routine.marks,
            "rows": max(routine.rows, measures.rows(call)),
            "bounds": {**routine.bounds, **measures.timeout(call)},
            "literals": routine.literals | literals(call.child_by_field_name("function")),
        }
    )


def _routine(name: str, short: str, place: "Node", body: "Node", *, collected: bool) -> Routine:
    scan = _Scan()
    if body.type == "statement_block":
        scan.block(body, certain=True, muted=False)
    else:
        scan.expression(body, muted=False)
    calls = [node for node in walk(body) if node.type == "call_expression"]
    called = tuple(map(assertions.called_name, calls))
    return Routine(
        name=name,
        short=short,
        line=line(place),
        collected=collected,
        assertions=tuple(scan.found),
        skip=scan.skip,
        conditional=scan.conditional,
        bounds=measures.bounds(calls),
        marks=frozenset({"retried"} if _RETRY.search(text(body)) else ()),
        literals=literals(body),
        calls=frozenset(called),
        helpers=called,
        mocked=frozenset(measures.mocked(calls)),
        body=normal(body),
    )


@dataclass
class _Scan:
    """Walks a function's statements as they would run."""

    found: list[Assertion] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    skip: str | None = None
    conditional: bool = False

    def block(self, node: "Node", *, certain: bool, muted: bool) -> None:
        """One row of statements; what comes after the function was left is not reached."""
        for statement in node.named_children:
            source = head(statement)
            skips = _SKIP_CALL.match(source) is not None
            if skips or (statement.type == "return_statement" and not self._returned(statement, muted=muted)):
                if skips or (certain and not any(a.strength for a in self.found)):
                    self.skip, self.conditional = self.skip or source, not certain
                return
            self._statement(statement, certain=certain, muted=muted)

    def _returned(self, statement: "Node", *, muted: bool) -> bool:
        """Notes the assertions in what is returned, as in `return expect(…)`."""
        before = len(self.found)
        self.expression(statement, muted=muted)
        return len(self.found) > before or statement.named_child_count > 0

    def _statement(self, node: "Node", *, certain: bool, muted: bool) -> None:
        if node.type in {"expression_statement", "lexical_declaration", "variable_declaration"}:
            self._note_constants(node)
            self.expression(node, muted=muted)
        elif node.type == "if_statement":
            consequence, other = (node.child_by_field_name(name) for name in ("consequence", "alternative"))
            self.expression(node.child_by_field_name("condition"), muted=muted)
            if consequence is not None and not assertions.is_false(node.child_by_field_name("condition")):
                self._nested(consequence, certain=False, muted=muted)
            if other is not None:
                self._nested(other, certain=False, muted=muted)
        elif node.type == "try_statement":
            self._try(node, certain=certain, muted=muted)
        elif node.type == "statement_block":
            self.block(node, certain=certain, muted=muted)
        else:
            for child in node.named_children:
                self._nested(child, certain=False, muted=muted)

    def _nested(self, node: "Node", *, certain: bool, muted: bool) -> None:
        if node.type == "statement_block":
            self.block(node, certain=certain, muted=muted)
        elif node.type.endswith(("_statement", "_clause", "_declaration")):
            self._statement(node, certain=certain, muted=muted)
        else:
            self.expression(node, muted=muted)

    def _try(self, node: "Node", *, certain: bool, muted: bool) -> None:
        handler = node.child_by_field_name("handler")
        silent = handler is not None and not re.search(
            r"\b(?:throw|expect|fail|assert\w*|reject|done)\b", text(handler)
        )
        for child in node.named_children:
            inner = child.child_by_field_name("body") if child.type in {"catch_clause", "finally_clause"} else child
            if inner is not None:
                self._nested(inner, certain=certain and inner is child, muted=muted or (silent and inner is child))

    def _note_constants(self, node: "Node") -> None:
        for child in node.named_children:
            if child.type == "variable_declarator":
                self.names[text(child.child_by_field_name("name"))] = normal(child.child_by_field_name("value"))

    def expression(self, node: "Node | None", *, muted: bool) -> None:
        """Notes each assertion's outermost chain; callbacks within are walked as they stand."""
        stack = [] if node is None else [node]
        while stack:
            current = stack.pop()
            is_chain = current.type in {"call_expression", "member_expression"}
            strength = assertions.strength_of(current, self.names) if is_chain else None
            if strength is not None:
                called = frozenset(assertions.called_name(n) for n in walk(current) if n.type == "call_expression")
                weight = Strength.NOTHING if muted else strength
                self.found.append(Assertion(normal(current), weight, line(current), literals(current), called))
                stack.extend(reversed([n for n in walk(current) if n.type in _FUNCTIONS and n != current]))
            elif current.type in _FUNCTIONS and (body := current.child_by_field_name("body")) is not None:
                if body.type == "statement_block":
                    self.block(body, certain=False, muted=muted)
                else:
                    stack.append(body)
            else:
                stack.extend(reversed(current.named_children))

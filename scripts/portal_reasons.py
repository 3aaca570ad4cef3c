"""Codes that a function or a value is handed, for the catalogue of errors: `StepResult(FAILED, "invalid_plan", "…")`.

Whatever has a parameter or field `code` takes one: jobs, deliveries and decisions carry theirs beside a sentence, and
no error is made with them. A code is written out where it is handed over, or stands in a constant, in both branches of
a condition or in a table; what an error or a job had before is handed on, and was found where it was made.
"""

import ast
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

FIELD = "code"
WORDS = frozenset({"reason", "detail", "words", "what", "message", "text"})
"""How the sentence beside a code is called."""
Named = Mapping[str, frozenset[str]]
NONE = frozenset[str]()
NEAR = 8
"""Lines."""


@dataclass(frozen=True)
class Taker:
    """Where something that can be called takes its code and the sentence: positions, None for by name alone."""

    code: int | None
    words: int | None
    error: str | None = None
    """The class of errors that it makes of them, if it does."""


@dataclass(frozen=True)
class Handed:
    """A code, the sentence beside it if it is written out, and what an answer with it would have: a status, or the
    class of errors that decides it."""

    code: str
    message: str
    status: int | None
    error: str | None


def text_of(node: ast.expr) -> str:
    """The text that an expression makes, as far as it is the same each time."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return text_of(node.left) + text_of(node.right) if isinstance(node, ast.BinOp) else "…"


def handed(trees: Sequence[ast.Module], errors: Collection[str]) -> Iterator[Handed]:
    """Every code that is handed to something in these modules; `errors` are the classes that make an answer."""
    takers = {name: taker for tree in trees for node in ast.walk(tree) for name, taker in _takers(node, errors)}
    named = [_named(tree) for tree in trees]
    everywhere = _joined(named)
    for tree, own in zip(trees, named, strict=True):
        known, sentences = {**everywhere, **own}, _sentences(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                taker = takers.get(name, Taker(None, None, name if name in errors else None))
                yield from _of_call(node, taker, known, sentences)


def _takers(node: ast.AST, errors: Collection[str]) -> Iterator[tuple[str, Taker]]:
    """What a function or a class of plain fields takes where."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        names = [argument.arg for argument in node.args.args if argument.arg not in {"self", "cls"}]
        only_named = [argument.arg for argument in node.args.kwonlyargs]
    elif isinstance(node, ast.ClassDef):
        names = [ast.unparse(part.target) for part in node.body if isinstance(part, ast.AnnAssign)]
        only_named = []
    else:
        return
    if FIELD in (*names, *only_named) and node.name != "__init__":
        words = next((name for name in names if name in WORDS), None)
        where = names.index(FIELD) if FIELD in names else None
        made = (part for part in ast.walk(node) if isinstance(part, ast.Call) and ast.unparse(part.func) in errors)
        error = next((ast.unparse(call.func) for call in made if _hands_on(call)), None)
        yield node.name, Taker(where, names.index(words) if words else None, error)


def _hands_on(call: ast.Call) -> bool:
    return any(word.arg == FIELD and ast.unparse(word.value) in {FIELD, f"self.{FIELD}"} for word in call.keywords)


def _sentences(tree: ast.Module) -> Sequence[tuple[int, str, ast.expr]]:
    """Where a module gives a name a value: line, name, value."""
    assigned = (node for node in ast.walk(tree) if isinstance(node, ast.Assign))
    found = [(node.lineno, ast.unparse(node.targets[0]), node.value) for node in assigned]
    return sorted(found, key=lambda each: each[0])


def _named(tree: ast.Module) -> Named:
    """The strings that names of a module can stand for."""
    found = defaultdict[str, frozenset[str]](frozenset)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            for name, value in _pairs(target, node.value):
                found[name] |= _codes(value, found)
    for node in ast.walk(tree):  # once the constants that they give back are known
        if isinstance(node, ast.FunctionDef):
            given = (part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value is not None)
            found[node.name] |= NONE.union(*(_codes(value, found) for value in given))
    return {name: texts for name, texts in found.items() if texts}


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """What each name of an assignment is given."""
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for part, given in zip(target.elts, value.elts, strict=True):
            yield from _pairs(part, given)


def _joined(named: Sequence[Named]) -> Named:
    """Constants of all modules: those of capital letters are imported elsewhere."""
    found = defaultdict[str, frozenset[str]](frozenset)
    for each in named:
        for name, texts in each.items():
            if name.isupper():
                found[name] |= texts
    return found


def _codes(node: ast.expr, known: Named) -> frozenset[str]:
    """The strings that an expression can be, as far as they are written out."""
    match node:
        case ast.Constant(value=str(text)):
            return frozenset({text})
        case ast.IfExp(body=one, orelse=other):
            return _codes(one, known) | _codes(other, known)
        case ast.BoolOp(values=parts) | ast.Dict(values=parts):
            return NONE.union(*(_codes(part, known) for part in parts))
        case ast.Call(func=ast.Name(id="getattr"), args=[_, _, other]):
            return _codes(other, known)
        case ast.Call(func=func, args=[inner]) if ast.unparse(func).endswith("MappingProxyType"):
            return _codes(inner, known)
        case ast.Subscript(value=ast.Name(id=name)) | ast.Call(func=ast.Name(id=name)) | ast.Name(id=name):
            return known.get(name, NONE)
        case _:
            return NONE


def _of_call(
    node: ast.Call, taker: Taker, known: Named, sentences: Sequence[tuple[int, str, ast.expr]]
) -> Iterator[Handed]:
    given = {word.arg: word.value for word in node.keywords if word.arg}
    code, words = given.get(FIELD), next((given[name] for name in given if name in WORDS), None)
    if code is None and taker.code is not None and taker.code < len(node.args):
        code = node.args[taker.code]
    if words is None and taker.words is not None and taker.words < len(node.args):
        words = node.args[taker.words]
    first = node.args[0] if node.args else None
    status = first.value if isinstance(first, ast.Constant) and isinstance(first.value, int) else None
    if isinstance(words, ast.Name):  # what it was given just before, or a constant
        near = [value for line, name, value in sentences if name == words.id and 0 < node.lineno - line < NEAR]
        constant = [ast.Constant(text) for text in known.get(words.id, NONE) if words.id.isupper()]
        words = (near or constant or [words])[-1]
    if code is not None:
        told = text_of(words) if words else ""
        yield from (Handed(text, told, status, taker.error) for text in _codes(code, known))

"""The catalogue of stable error codes for the developer portal, read from the code, which alone declares them.

A code stands where an error is made (`NotFoundError("…", code="no_such_job")`), as a class's `default_code`, in the
edge's `RefusedError(403, "login_unknown", "…")` or a tuple of those three, in docstrings under `Raises:`, and where one
is handed to something that has a `code` (portal_reasons.py).
"""

import ast
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import portal_reasons
from portal_reasons import text_of

CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+|[a-z]{4,}")
RAISES = re.compile(r"^(\w+Error): ((?:.|\n(?!\w+Error:))*)", re.MULTILINE)
BASE, EDGE = "AicdError", "RefusedError"
STATUSES: Mapping[str, int] = {
    "INVALID_INPUT": 400,
    "UNAUTHENTICATED": 401,
    "STOPPED": 402,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "FAILED": 422,
    "UNAVAILABLE": 503,
    "INTERNAL": 500,
}
"""What the API answers for each `ErrorKind`, as a test of it compares; the public tree has no API server to ask."""


REASON = 0
"""In the place of a status: of codes that stand on a job, a webhook, a meter event or a decision, and are no answer."""


@dataclass(frozen=True, order=True)
class Coded:
    """A code, the HTTP status that goes with it, and a sentence that it comes with; `…` is what differs."""

    code: str
    status: int
    message: str = ""


def catalogue(root: Path) -> list[Coded]:
    """Every code of a tree's product code, sorted; one line for each thing that it says."""
    paths = (path for path in sorted(root.glob("*/*/src/**/*.py")) if "testing" not in path.parts)
    trees = [ast.parse(path.read_bytes()) for path in paths]
    kinds = _kinds([node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)])
    made = {coded for tree in trees for node in ast.walk(tree) for coded in _made(node, kinds)}
    told = {coded for tree in trees for node in ast.walk(tree) for coded in _told(node, kinds)}
    literals = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    functions = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    told = {coded for coded in told if coded.code in literals - functions}  # the others are no codes
    known = {coded.code for coded in made | told}
    said = dict(pair for tree in trees for node in ast.walk(tree) for pair in _said(node, known))
    speaking = {coded.code for coded in made if coded.message}
    silent = {Coded(each.code, each.status, said.get(each.code, "")) for each in made | told if not each.message}
    found = {each for each in made if each.message} | {each for each in silent if each.code not in speaking}
    found |= {coded for coded in _handed(trees, kinds) if coded.code not in known}
    better = dict(pair for tree in trees for node in ast.walk(tree) for pair in _overridden(node))
    return sorted(Coded(each.code, better.get(each.code, each.status), each.message) for each in found)


def _handed(trees: Sequence[ast.Module], kinds: Mapping[str, tuple[int, str]]) -> Iterator[Coded]:
    """What is handed to something that takes a code, and the classes' own codes; with a status if an answer has one."""
    yield from (Coded(code, status) for status, code in kinds.values())
    for each in portal_reasons.handed(trees, kinds):
        if CODE.fullmatch(each.code):
            of_class = kinds[each.error][0] if each.error else REASON
            yield Coded(each.code, each.status or of_class, each.message)


def _overridden(node: ast.AST) -> Iterator[tuple[str, int]]:
    """What the edge's table of codes with a status of their own says."""
    if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "STATUS_OF_CODE" and node.value:
        yield from ast.literal_eval(node.value).items()


def _kinds(classes: Sequence[ast.ClassDef]) -> dict[str, tuple[int, str]]:
    """Status and default code of each class of errors."""
    found = {BASE: (STATUSES["INTERNAL"], "internal")}
    grown = True
    while grown:
        grown = False
        for node in classes:
            parent = next((found[name] for name in map(ast.unparse, node.bases) if name in found), None)
            if parent is None or node.name in found:
                continue
            own = {ast.unparse(part.targets[0]): part.value for part in node.body if isinstance(part, ast.Assign)}
            kind, code = own.get("kind"), own.get("default_code")
            status = STATUSES[kind.attr] if isinstance(kind, ast.Attribute) else parent[0]
            found[node.name] = (status, str(code.value) if isinstance(code, ast.Constant) else parent[1])
            grown = True
    return found


def _made(node: ast.AST, kinds: Mapping[str, tuple[int, str]]) -> Iterator[Coded]:
    """What a constructor's call, a tuple of status, code and sentence, or the edge's table of statuses declares."""
    if isinstance(node, ast.Call) and (name := ast.unparse(node.func).rpartition(".")[2]) in kinds:
        status, default = kinds[name]
        given = next((word.value for word in node.keywords if word.arg == "code"), ast.Constant(default))
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            yield Coded(given.value, status, text_of(node.args[0]) if node.args else "")
    parts = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
    match parts[:3]:
        case [ast.Constant(value=int(status)), ast.Constant(value=str(code)), sentence] if 400 <= status < 600:
            yield Coded(code, status, text_of(sentence))
        case _:
            pass
    for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
        match key, value:
            case ast.Constant(value=int(status)), ast.Call(args=[ast.Constant(value=str(code)), _, sentence]):
                yield Coded(code, status, text_of(sentence))
            case _:
                pass


def _told(node: ast.AST, kinds: Mapping[str, tuple[int, str]]) -> Iterator[Coded]:
    """The codes that a docstring names under `Raises:`."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    _, _, raises = (ast.get_docstring(node) or "").partition("Raises:\n")
    for name, rest in RAISES.findall(re.sub(r"^ {4}", "", raises, flags=re.MULTILINE)):
        if name in kinds:
            yield from (Coded(code, kinds[name][0]) for code in re.findall(r"`([a-z_0-9]+)`", rest) if "_" in code)


def _said(node: ast.AST, known: set[str]) -> Iterator[tuple[str, str]]:
    """A code and the sentence that follows it, in a tuple or a call."""
    parts = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
    for code, sentence in pairwise(parts):
        if isinstance(code, ast.Constant) and code.value in known and " " in (text := text_of(sentence)):
            yield str(code.value), text


def page(root: Path) -> str:
    """The catalogue as Markdown tables, one for each status."""
    found = catalogue(root)
    lines: list[str] = []
    for status in sorted({coded.status for coded in found}, key=lambda status: status or math.inf):
        title = str(status) if status else "Reasons, of jobs, webhooks and meter events"
        lines += ["", f"## {title}", "", "| code | it says |", "| --- | --- |"]
        here = [coded for coded in found if coded.status == status]
        for code in sorted({coded.code for coded in here}):
            texts = [coded.message for coded in here if coded.code == code and coded.message.strip("… ")]
            shown = "<br>".join(_cell(text) for text in texts[:3]) or "what the part that failed said"
            lines.append(f"| `{code}` | {shown} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A sentence in a cell of a table."""
    plain = " ".join(text.split())
    return re.sub(r"([\\|<>*_\[\]])", r"\\\1", plain).replace("`", "")

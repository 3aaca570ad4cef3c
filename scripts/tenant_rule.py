"""The rule on queries: what a repository asks of a tenant's table goes through `mine`.

A function with a parameter of the type `Tenant` names in `mine(…)` every model that it selects, updates or deletes,
itself or by a function of the same file that takes the tenant too;
inserting, it mentions `org_id`. One without such a parameter touches models only through a session of no tenant.
"""

import ast
from collections.abc import Iterator
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
MODELS_MODULE = "models"
QUERIES = frozenset({"select", "update", "delete", "select_from", "join", "outerjoin"})
INSERTS = frozenset({"insert", "pg_insert"})
OPEN_SESSIONS = frozenset({"SystemSession", "SystemReadSession", "AccountsSession"})
TENANT_SESSIONS = frozenset({"ReadSession", "WriteSession"})
GLOBAL_MODELS = frozenset({"User", "Identity", "UserSession"})
"""Models of people, who belong to no tenant; what joins them is confined by the other table."""


def tenant_breaches(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and sentence of every unscoped query in a `repository.py`."""
    models = frozenset(_models(tree))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in functions:
        if not _helps_the_system_only(function, functions):
            helpers = [other for other in functions if "Tenant" in _kinds(other) and other.name in _names(function)]
            yield from _check(function, models, {name for part in (function, *helpers) for name in _scoped(part)})


def _helps_the_system_only(function: Function, functions: list[Function]) -> bool:
    """Whether this private part of a query is used by functions with a session of no tenant alone."""
    if not function.name.startswith("_"):
        return False
    users = [other for other in functions if other is not function and function.name in _names(other)]
    kinds = [_kinds(user) for user in users]
    return bool(users) and all(found & OPEN_SESSIONS and "Tenant" not in found for found in kinds)


def _models(tree: ast.Module) -> Iterator[str]:
    """The names under which model classes are known here: those from a `models.py` that look like classes."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2] == MODELS_MODULE:
            yield from (name for alias in node.names if _is_class(name := alias.asname or alias.name))


def _is_class(name: str) -> bool:
    return name[:1].isupper() and not name.isupper()


def _check(function: Function, models: frozenset[str], scoped: set[str]) -> Iterator[tuple[int, str]]:
    kinds = _kinds(function)
    queried = {name: line for name, line in _targets(function, QUERIES, models) if name not in GLOBAL_MODELS}
    inserted = {name: line for name, line in _targets(function, INSERTS, models) if name not in GLOBAL_MODELS}
    if "Tenant" in kinds:
        for name in sorted(set(queried) - scoped):
            yield queried[name], f"{function.name}() asks for {name} without mine({name}, tenant)"
        if inserted and not scoped and not _mentions(function, "org_id"):
            line = min(inserted.values())
            yield line, f"{function.name}() inserts without org_id"
    elif (queried or inserted) and (kinds & TENANT_SESSIONS or not kinds & OPEN_SESSIONS):
        line = min([*queried.values(), *inserted.values()])
        yield line, f"{function.name}() takes no Tenant, and no session of the system or of accounts"


def _kinds(function: Function) -> set[str]:
    """The types that its parameters name."""
    return {name for part in _annotations(function) for name in _names(part)}


def _annotations(function: Function) -> Iterator[ast.expr]:
    given = function.args
    for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs):
        if argument.annotation is not None:
            yield argument.annotation


def _names(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id


def _targets(function: ast.AST, calls: frozenset[str], models: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Every model in the arguments of such a call, itself (`select(X)`) or by a column (`select(X.id)`)."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _called(node) in calls:
            for argument in node.args:
                yield from ((name, node.lineno) for name in _read_names(argument) if name in models)


def _read_names(node: ast.AST) -> Iterator[str]:
    """Names in an expression, those left out that only lend a type to a value (`literal(kind, Artifact.kind.type)`)."""
    if isinstance(node, ast.Name):
        yield node.id
    elif not (isinstance(node, ast.Attribute) and node.attr == "type"):
        for part in ast.iter_child_nodes(node):
            yield from _read_names(part)


def _scoped(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _called(node) == "mine" and node.args and isinstance(node.args[0], ast.Name):
            yield node.args[0].id


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _mentions(function: ast.AST, word: str) -> bool:
    """Whether the word stands there as a keyword, a string or an attribute."""
    return any(
        (isinstance(node, ast.keyword) and node.arg == word)
        or (isinstance(node, ast.Constant) and node.value == word)
        or (isinstance(node, ast.Attribute) and node.attr == word)
        for node in ast.walk(function)
    )

"""Our own rules, checked: `python scripts/check_rules.py [ROOT]`.

Refused: SQL outside of `repository.py`, a query there that is not confined to a tenant (`tenant_rule.py`), a commit
outside of `aicd_core/db`, an import inside a function.
Reported: files past 300 lines and functions past 40.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tenant_rule import tenant_breaches

FILE_MAX = 300
FUNCTION_MAX = 40
SQL_CALLS = frozenset({"select", "insert", "update", "delete", "text", "literal_column"})
SQL_PACKAGES = ("sqlalchemy",)
SQL_HOMES = frozenset({"repository.py", "models.py", "env.py"})
"""models.py writes SQL into constraints and indexes, env.py takes the migration's lock."""
COMMITS = frozenset({"commit", "begin", "begin_nested"})
COMMIT_HOME = "aicd_core/db/"


@dataclass(frozen=True)
class Breach:
    """A broken rule at a place."""

    path: Path
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}"


def check_file(path: Path) -> Iterator[Breach]:
    """Every breach in one file of product code."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    sql_names = frozenset(_names_from(tree, SQL_PACKAGES, SQL_CALLS))
    sql_modules = frozenset(_modules(tree, SQL_PACKAGES))
    at_home = path.name in SQL_HOMES or "migrations/versions" in path.as_posix()
    if path.name == "repository.py":
        yield from (Breach(path, line, rule) for line, rule in tenant_breaches(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _hidden_imports(path, node)
        if not isinstance(node, ast.Call):
            continue
        if not at_home and (called := ast.unparse(node.func)) in sql_names | _calls_of(sql_modules):
            yield Breach(path, node.lineno, f"SQL ({called}) outside of a repository.py")
        if not at_home and _is_raw_sql(node):
            yield Breach(path, node.lineno, "an SQL string outside of a repository.py")
        if _commits(node) and COMMIT_HOME not in path.as_posix() and path.name != "env.py":
            yield Breach(path, node.lineno, "only Database.transaction() commits")


def _names_from(tree: ast.Module, packages: tuple[str, ...], wanted: frozenset[str]) -> Iterator[str]:
    """The names under which this module knows some of the packages' functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(packages):
            yield from (alias.asname or alias.name for alias in node.names if alias.name in wanted)


def _modules(tree: ast.Module, packages: tuple[str, ...]) -> Iterator[str]:
    """The names under which the packages themselves, or modules of theirs, are known here."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.asname or alias.name for alias in node.names if alias.name.startswith(packages))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(packages):
            yield from (alias.asname or alias.name for alias in node.names if alias.name.islower())


def _calls_of(modules: frozenset[str]) -> frozenset[str]:
    """`sa.select` and the like."""
    return frozenset(f"{module}.{name}" for module in modules for name in SQL_CALLS)


def _is_raw_sql(call: ast.Call) -> bool:
    """`x.execute("…")` or `x.execute(b"…")`: a statement written as a string."""
    named = isinstance(call.func, ast.Attribute) and call.func.attr in {"execute", "executemany", "exec_driver_sql"}
    return named and bool(call.args) and isinstance(call.args[0], ast.Constant | ast.JoinedStr)


def _commits(call: ast.Call) -> bool:
    """A call of `.commit()` and the like on a session; `checkout.commit(request)` makes a git commit."""
    return (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in COMMITS
        and isinstance(call.func.value, ast.Name | ast.Attribute)
        and not call.args
    )


def _hidden_imports(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Breach]:
    for node in ast.walk(function):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield Breach(path, node.lineno, f"an import hidden inside {function.name}()")


def report_sizes(path: Path) -> Iterator[str]:
    """Lines about what has grown past the usual."""
    source = path.read_text()
    lines = source.count("\n")
    if lines > FILE_MAX:
        yield f"{path}: {lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_MAX:
                yield f"{path}:{node.lineno}: {node.name}() has {length} lines"


def product_files(root: Path) -> list[Path]:
    """Every Python file of the product, tests left out."""
    return sorted(path for part in ("packages", "apps") for path in (root / part).glob("*/src/**/*.py"))


def main(arguments: list[str]) -> int:
    """Prints breaches and sizes; 1 when there is a breach."""
    root = Path(arguments[0]) if arguments else Path(__file__).parents[1]
    files = product_files(root)
    breaches = [breach for path in files for breach in check_file(path)]
    for breach in breaches:
        print(breach)
    for line in (line for path in files for line in report_sizes(path)):
        print(f"size: {line}")
    if not files:
        print(f"No product code under {root}: nothing was checked.")
    return 1 if breaches or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Finding a repository's test commands when it does not declare them. Pure: paths and contents in, commands out."""

import json
import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath

MAX_COMMANDS = 2
"""A repository of three kinds of code should say what its tests are."""

MAX_TEST_FILES_READ = 20
"""Test files looked into; those nearest to the root tell what the others use."""

Read = Callable[[str], bytes | None]

_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
"""In the order in which GNU make looks for them."""

_PYTEST_MARKS = ("pytest.ini", ".pytest.ini", "conftest.py", "tests/conftest.py", "test/conftest.py")
_PYTEST_DECLARED_IN = (
    *("pyproject.toml", "setup.cfg", "tox.ini", "setup.py", "Pipfile", "noxfile.py", "requirements.txt"),
    *("requirements-dev.txt", "requirements-test.txt", "dev-requirements.txt", "test-requirements.txt"),
    *("requirements/dev.txt", "requirements/test.txt", "requirements/tests.txt"),
)
_MANIFESTS = (*_MAKEFILES, *_PYTEST_DECLARED_IN, "package.json")

_FOREIGN = frozenset({"node_modules", "vendor", "third_party", "site-packages", "venv", ".venv", ".tox", ".git"})
"""Folders of other people's code."""

_NPM_PLACEHOLDER = "no test specified"
_IMPORTS_PYTEST = re.compile(rb"^\s*(?:import|from)\s+pytest\b", re.MULTILINE)
_IMPORTS_UNITTEST = re.compile(rb"^\s*(?:import|from)\s+unittest\b", re.MULTILINE)
_SRC_PACKAGE = re.compile(r"src/[^/]+(?:/__init__)?\.py")
_BARE_TEST = re.compile(rb"^(?:async )?def test_", re.MULTILINE)


@dataclass(frozen=True)
class _Tree:
    paths: frozenset[str]
    read: Read

    def content(self, path: str) -> bytes:
        """A file's content; nothing when there is no such file."""
        return (self.read(path) or b"") if path in self.paths else b""

    def has(self, *paths: str) -> bool:
        return not self.paths.isdisjoint(paths)


def detect_test_commands(paths: frozenset[str], read: Read) -> tuple[str, ...]:
    """The test commands that the files at hand call for: at most two, none when nothing is recognised.

    Args:
        paths: every file of the repository.
        read: a file's content, or None; asked only for files of `files_to_read(paths)`.
    """
    tree = _Tree(paths, read)
    commands = (command for find in _TOOLCHAINS for command in [find(tree)] if command is not None)
    own = _make(tree)
    return (own,) if own is not None else tuple(islice(commands, MAX_COMMANDS))


def files_to_read(paths: frozenset[str]) -> tuple[str, ...]:
    """The files whose content the detection depends on: a few dozen at most, however large the repository."""
    return (*(path for path in _MANIFESTS if path in paths), *_python_tests(paths))


def _make(tree: _Tree) -> str | None:
    """A `test` target is the project's own word on how it is tested, whatever else it holds."""
    makefile = next((name for name in _MAKEFILES if name in tree.paths), None)
    if makefile is None:
        return None
    lines = tree.content(makefile).decode("utf-8", "replace").splitlines()
    return "make test" if any(_is_test_target(line) for line in lines) else None


def _is_test_target(line: str) -> bool:
    targets, colon, rest = line.partition(":")
    is_rule = bool(colon) and not line.startswith(("\t", "#")) and "=" not in targets and not rest.startswith("=")
    return is_rule and "test" in targets.split()


def _python(tree: _Tree) -> str | None:
    tests = _python_tests(tree.paths)
    declared = tree.has(*_PYTEST_MARKS) or any(b"pytest" in tree.content(path) for path in _PYTEST_DECLARED_IN)
    runner = "pytest" if declared else _plainly_used(tree.content(path) for path in tests)
    if runner is None:
        return None
    # Nothing is installed in the sandbox, so a package below src/ is only found when it is pointed at.
    prefix = "PYTHONPATH=src " if any(_SRC_PACKAGE.fullmatch(path) for path in tree.paths) else ""
    return prefix + ("python3 -m pytest -q" if runner == "pytest" else _unittest(tree.paths, tests))


def _plainly_used(contents: Iterable[bytes]) -> str | None:
    """The runner that the test files are written for. pytest runs both kinds, so one file that imports it decides."""
    sample = list(contents)
    uses = (("pytest", _IMPORTS_PYTEST), ("unittest", _IMPORTS_UNITTEST), ("pytest", _BARE_TEST))
    return next((runner for runner, mark in uses if any(mark.search(content) for content in sample)), None)


def _unittest(paths: frozenset[str], tests: tuple[str, ...]) -> str:
    """unittest's discovery looks for `test*.py`, and enters only packages and the folder where it starts."""
    named = tuple(path for path in tests if PurePosixPath(path).name.startswith("test"))
    pattern = "" if named else " -p '*_test.py'"
    folders = [PurePosixPath(path).parent for path in named or tests]
    start = "" if any(_is_package(folder, paths) for folder in folders) else f" -s {shlex.quote(str(folders[0]))}"
    return f"python3 -m unittest discover{start}{pattern}"


def _is_package(folder: PurePosixPath, paths: frozenset[str]) -> bool:
    chain = (folder, *folder.parents)[:-1] if folder.parts else ()
    return all(f"{part}/__init__.py" in paths for part in chain)


def _python_tests(paths: frozenset[str]) -> tuple[str, ...]:
    """Test files by Python's own naming, those nearest to the root first."""
    found = (path for path in paths if path.endswith(".py") and _is_python_test(PurePosixPath(path)))
    return tuple(sorted(found, key=lambda path: (path.count("/"), path))[:MAX_TEST_FILES_READ])


def _is_python_test(path: PurePosixPath) -> bool:
    named = path.stem.startswith("test_") or path.stem.endswith("_test") or path.stem in ("test", "tests")
    return named and _FOREIGN.isdisjoint(path.parts)


def _npm(tree: _Tree) -> str | None:
    try:
        package = json.loads(tree.content("package.json"))
    except (ValueError, RecursionError):
        return None
    scripts = package.get("scripts") if isinstance(package, dict) else None
    script = scripts.get("test") if isinstance(scripts, dict) else None
    usable = isinstance(script, str) and bool(script.strip()) and _NPM_PLACEHOLDER not in script
    return "npm test --silent" if usable else None


def _by_file(*table: tuple[str, str]) -> Callable[[_Tree], str | None]:
    """The command of the first listed file that is there."""
    return lambda tree: next((command for path, command in table if path in tree.paths), None)


_TOOLCHAINS: tuple[Callable[[_Tree], str | None], ...] = (
    _python,
    _npm,
    _by_file(("go.mod", "go test ./...")),
    _by_file(("Cargo.toml", "cargo test")),
    _by_file(
        *(("mvnw", "sh ./mvnw -q -B test"), ("pom.xml", "mvn -q -B test"), ("gradlew", "sh ./gradlew test")),
        *(("build.gradle", "gradle test"), ("build.gradle.kts", "gradle test")),
    ),
)
"""How each kind of project is tested, in the order in which commands are picked."""

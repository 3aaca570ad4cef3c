"""Which paths are tests, by the naming conventions of the languages' own test runners."""

import re
from pathlib import PurePosixPath

from aicd_core.policy.globs import first_match

_SCRIPT_ENDINGS = ("js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts")

_FOREIGN = frozenset({"node_modules", "vendor", "third_party", "site-packages"})
"""Folders of other people's code, where test runners do not look."""

TEST_FILE_GLOBS: tuple[str, ...] = (
    # Python: unittest, pytest, Django
    *("test_*.py", "*_test.py", "tests.py", "conftest.py"),
    # JavaScript and TypeScript: Jest, Vitest, Mocha, Playwright, Cypress
    *(f"*.{kind}.{ending}" for kind in ("test", "spec", "cy") for ending in _SCRIPT_ENDINGS),
    *(f"**/__tests__/**/*.{ending}" for ending in _SCRIPT_ENDINGS),
    # Go
    "*_test.go",
    # Java and Kotlin: Maven's Surefire and Failsafe, Gradle
    *("**/src/test/java/**", "**/src/test/kotlin/**"),
    *(f"{name}.{ending}" for name in ("*Test", "*Tests", "Test*", "*IT") for ending in ("java", "kt")),
    # Ruby: RSpec, Minitest
    *("*_spec.rb", "*_test.rb", "test_*.rb"),
    # Rust integration tests, C#, PHP, Elixir, Swift, C++
    *("**/tests/**/*.rs", "*Tests.cs", "*Test.cs", "*Test.php", "*_test.exs", "*Tests.swift"),
    *("*_test.cc", "*_test.cpp"),
)


def is_test_file(path: str) -> bool:
    """True for a path that some language's test runner would collect by its name."""
    return _FOREIGN.isdisjoint(path.split("/")) and first_match(TEST_FILE_GLOBS, path) is not None


_AFFIXES = re.compile(r"^(?:test_|Test)|(?:_test|_spec|\.test|\.spec|\.cy|Tests?|IT)$")


def subject_of(path: str) -> str:
    """The name of what a test file tests, by the same conventions: `coupons` of `tests/test_coupons.py`."""
    return _AFFIXES.sub("", PurePosixPath(path).stem)

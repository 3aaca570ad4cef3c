"""Test commands of a repository that declares none."""

import json
import subprocess
from pathlib import Path

import pytest

from aicd_core.repo_config import detect_test_commands, files_to_read

UNITTEST = b"import unittest\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertTrue(1)\n"
PYTEST = b"import pytest\n\ndef test_a():\n    assert pytest\n"
BARE = b"from app import f\n\ndef test_a():\n    assert f()\n"


def detect(files: dict[str, bytes]) -> tuple[str, ...]:
    paths = frozenset(files)
    allowed = files_to_read(paths)

    def read(path: str) -> bytes | None:
        assert path in allowed
        return files.get(path)

    return detect_test_commands(paths, read)


def package(test: object) -> bytes:
    return json.dumps({"name": "x", "scripts": {"test": test}}).encode()


@pytest.mark.parametrize(
    ("files", "commands"),
    [
        ({}, ()),
        ({"README.md": b"pytest"}, ()),
        ({"Makefile": b"build:\n\tcc\ntest: build\n\t./t\n", "go.mod": b""}, ("make test",)),
        ({"makefile": b"lint test check::\n\t./t\n"}, ("make test",)),
        ({"Makefile": b".PHONY: test\ntest := 1\ntest-all:\n\ttest: x\n# test:\n"}, ()),
        ({"GNUmakefile": b"all:\n", "Makefile": b"test:\n", "go.mod": b""}, ("go test ./...",)),
        ({"pytest.ini": b"", "a.py": b""}, ("python3 -m pytest -q",)),
        ({"pyproject.toml": b'[project]\ndependencies = ["pytest>=8"]\n'}, ("python3 -m pytest -q",)),
        ({"pyproject.toml": b"[project]\n", "app.py": b""}, ()),
        ({"setup.cfg": b"[tool:pytest]\n", "tests/test_a.py": UNITTEST}, ("python3 -m pytest -q",)),
        ({"tox.ini": b"deps = pytest\n"}, ("python3 -m pytest -q",)),
        ({"tests/test_a.py": PYTEST}, ("python3 -m pytest -q",)),
        ({"tests/test_a.py": BARE}, ("python3 -m pytest -q",)),
        ({"tests/test_a.py": UNITTEST, "tests/test_b.py": PYTEST}, ("python3 -m pytest -q",)),
        (
            {"tests/test_a.py": UNITTEST, "src/app/__init__.py": b""},
            ("PYTHONPATH=src python3 -m unittest discover -s tests",),
        ),
        ({"src/app.py": b"", "tests/test_a.py": BARE}, ("PYTHONPATH=src python3 -m pytest -q",)),
        ({"tests/test_a.py": b"print(1)\n"}, ()),
        ({"node_modules/x/test_a.py": UNITTEST, "vendor/test_b.py": BARE}, ()),
        ({"package.json": package("jest")}, ("npm test --silent",)),
        ({"package.json": package('echo "Error: no test specified" && exit 1')}, ()),
        ({"package.json": package(" ")}, ()),
        ({"package.json": package(5)}, ()),
        ({"package.json": b"[]"}, ()),
        ({"package.json": b"{"}, ()),
        ({"package.json": b"[" * 100_000}, ()),
        ({"web/package.json": package("jest")}, ()),
        ({"go.mod": b""}, ("go test ./...",)),
        ({"Cargo.toml": b""}, ("cargo test",)),
        ({"pom.xml": b""}, ("mvn -q -B test",)),
        ({"pom.xml": b"", "mvnw": b""}, ("sh ./mvnw -q -B test",)),
        ({"build.gradle.kts": b""}, ("gradle test",)),
        ({"build.gradle": b"", "gradlew": b""}, ("sh ./gradlew test",)),
        (
            {"pytest.ini": b"", "package.json": package("jest"), "go.mod": b""},
            ("python3 -m pytest -q", "npm test --silent"),
        ),
    ],
)
def test_the_command_that_fits_is_found(files: dict[str, bytes], commands: tuple[str, ...]):
    assert detect(files) == commands


@pytest.mark.parametrize(
    ("paths", "command"),
    [
        (["test_a.py"], "python3 -m unittest discover"),
        (["tests/test_a.py"], "python3 -m unittest discover -s tests"),
        (["tests/__init__.py", "tests/test_a.py"], "python3 -m unittest discover"),
        (["my tests/test_a.py"], "python3 -m unittest discover -s 'my tests'"),
        (["tests/a_test.py"], "python3 -m unittest discover -s tests -p '*_test.py'"),
    ],
)
def test_the_unittest_command_really_finds_the_test(tmp_path: Path, paths: list[str], command: str):
    files = {path: b"" if path.endswith("__init__.py") else UNITTEST for path in paths}
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert detect(files) == (command,)
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "Ran 1 test" in done.stderr) == (0, True)


def test_few_files_are_read_of_a_large_repository():
    paths = frozenset(f"pkg{n}/test_{n}.py" for n in range(5000)) | {"Makefile", "test_root.py"}
    wanted = files_to_read(paths)
    assert len(wanted) < 50
    assert wanted[:2] == ("Makefile", "test_root.py")

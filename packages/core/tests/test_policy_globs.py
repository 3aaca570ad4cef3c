"""Path patterns mean what they mean to git."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicd_core.policy.globs import compile_glob, first_match

GLOBS = (
    *("a", "/a", "a/", "a/b", "/a/b", "*", "*.py", "a*", "?", "??.py", "a/*", "a/**", "**/a", "**/a/b", "a/**/b"),
    *("/*", "/**", "**", "**/", "a/*/b", "*/b", "a**b", "**.py", "a/**/", "/a/**/b.py", "**/**/b", "a.b", "a+b"),
)
PATHS = (
    *("a", "b", "ab", "a.py", "ab.py", "a/b", "a/b.py", "b/a", "b/a/b", "a/x/b", "a/x/y/b", "a/x/b.py", "axb", "x/ab"),
    *("a/a", "b/x/a/b", "x/a/b/c", "a+b", "aab", "a.b", "axb.py", "x/y/z.py", "a/é", "A", "a b.py"),
)


def test_patterns_agree_with_git(tmp_path: Path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for glob in GLOBS:
        (tmp_path / ".git/info/exclude").write_text(glob + "\n")
        checked = subprocess.run(
            ["git", "-C", tmp_path, "check-ignore", "-z", "--stdin", "--no-index"],
            input="\0".join(PATHS).encode(),
            capture_output=True,
        )
        by_git = set(filter(None, checked.stdout.decode().split("\0")))
        assert {path for path in PATHS if compile_glob(glob).fullmatch(path)} == by_git, glob


def test_case_counts_unless_told_otherwise():
    assert first_match(("a", "*.PY"), "x.py") is None
    assert first_match(("a", "*.PY"), "x.py", ignore_case=True) == "*.PY"


@pytest.mark.parametrize("path", ["src/main.py", "src/ma\nin.py"])
def test_a_pattern_of_the_whole_tree_matches_every_path(path: str):
    assert first_match(("**",), path) == "**"


@given(
    st.text("ab*?/.", min_size=1, max_size=12).filter(lambda glob: glob.strip("/")),
    st.text("ab/.", min_size=1, max_size=12),
)
def test_a_pattern_that_matches_a_folder_matches_what_is_in_it(glob: str, path: str):
    if compile_glob(glob).fullmatch(path):
        assert compile_glob(glob).fullmatch(f"{path}/x")

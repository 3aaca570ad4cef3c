"""Random pairs of trees in a real git repository: what git prints is what we read."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aicd_core.agents.dummy.matching import mismatches
from aicd_core.patches import extract_patches, parse_patch, parse_with_strip

Tree = dict[str, tuple[str, bytes]]

NAMES = (
    "x",
    "a/b",
    "a/x",
    "b/b",
    "with blank",
    "x y/x y",
    "tab\there",
    "line\nfeed",
    'quo"te',
    "back\\slash",
    "é/ü",
    "trail ",
    "-dash",
    "日本.md",
)
LINES = (
    "a",
    "b",
    "c",
    "",
    " ",
    "```",
    " ```",
    "~~~",
    "--- a/x",
    "-- ",
    "+++ b/x",
    "@@ -1 +1 @@",
    "\\ No newline at end of file",
    "diff --git a/x b/x",
    "GIT binary patch",
    "\r",
    "a\r",
    "p\x0cq",
    "é\u2028ü\x85",
)
OPTIONS = (
    [],
    ["-M"],
    ["-C", "--find-copies-harder"],
    ["--no-prefix"],
    ["--src-prefix=i/", "--dst-prefix=w/"],
    ["--patience"],
    ["-U1", "-M"],
    ["-U9"],
    ["--full-index", "--binary", "-M"],
)
MODES = ("100644", "100644", "100755", "120000")

texts = st.builds(
    lambda lines, end: ("\n".join(lines) + end * bool(lines)).encode(),
    st.lists(st.sampled_from(LINES), max_size=12),
    st.sampled_from(["\n", "\n", ""]),
)
contents = st.one_of(texts, texts, texts, st.just(b"\0binary"), st.just(b"\0other\n"))
trees = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.sampled_from(MODES), contents), min_size=1, max_size=5)
text_trees = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.sampled_from(MODES), texts), min_size=1, max_size=4)
few = settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def tree_pairs(draw: st.DrawFn, files: st.SearchStrategy[Tree] = trees) -> tuple[Tree, Tree]:
    """Two trees that share much: some files the same, some moved, some edited."""
    old = draw(files)
    new = dict(draw(files))
    for name, entry in old.items():
        fate = draw(st.sampled_from(["keep", "move", "drop", "append"]))
        if fate == "move":
            new.setdefault(draw(st.sampled_from(NAMES)), entry)
        elif fate == "keep":
            new[name] = entry
        elif fate == "append":
            new[name] = (entry[0], entry[1] + b"more\n")
    return old, new


class Repo:
    """A git repository that takes trees and prints diffs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.git("init", "-q", "--bare", ".")

    def git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C",
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self._folder, input=stdin, env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def store(self, *given_trees: Tree) -> list[str]:
        """One parentless commit per tree; returns their ref names."""
        stream, refs = bytearray(), []
        for tree in given_trees:
            self._count += 1
            refs.append(f"refs/heads/t{self._count}")
            stream += f"commit {refs[-1]}\ncommitter t <t@example.org> 0 +0000\ndata 0\ndeleteall\n".encode()
            for name, (mode, content) in tree.items():
                quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                stream += f'M {mode} inline "{quoted}"\ndata {len(content)}\n'.encode() + content + b"\n"
        self.git("fast-import", "--quiet", "--force", stdin=bytes(stream))
        return refs

    def diff(self, old: str, new: str, *options: str) -> str:
        return self.git("diff", "--no-ext-diff", *options, old, new).decode()


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return Repo(tmp_path_factory.mktemp("trees"))


@few
@given(pair=tree_pairs(), options=st.sampled_from(OPTIONS), crlf=st.booleans())
def test_what_git_prints_comes_out_of_the_issue_unchanged_and_is_counted_as_git_counts(
    repo: Repo, pair: tuple[Tree, Tree], options: list[str], crlf: bool
) -> None:
    diff = repo.diff(*repo.store(*pair), *options)
    if not diff:
        return
    issue = f"Title\n\n```diff\n{diff}```\n\nEnd\n"
    assert extract_patches(issue.replace("\n", "\r\n") if crlf else issue) == (diff,)
    level, files = parse_with_strip(diff)
    assert level == (0 if "--no-prefix" in options else 1)
    counted = repo.git("apply", "--numstat", "-z", f"-p{level}", "-", stdin=diff.encode()).decode()
    assert [
        ("-\t-" if file.binary else f"{file.added_count}\t{file.removed_count}") + f"\t{file.path}" for file in files
    ] == counted.removesuffix("\0").split("\0")


@few
@given(pair=tree_pairs(text_trees), first=st.sampled_from(OPTIONS[:-1]), second=st.sampled_from([[], ["-M"]]))
def test_two_diffs_of_the_same_change_match_however_they_were_made(
    repo: Repo, pair: tuple[Tree, Tree], first: list[str], second: list[str]
) -> None:
    refs = repo.store(*pair)
    candidate, measured = (parse_patch(repo.diff(*refs, *options)) for options in (first, second))
    assert mismatches(candidate, measured) == []


@few
@given(pair=tree_pairs(text_trees), other=text_trees, options=st.sampled_from([[], ["-M"], ["-U1"]]))
def test_diffs_of_different_changes_never_match(
    repo: Repo, pair: tuple[Tree, Tree], other: Tree, options: list[str]
) -> None:
    old, new, wrong = repo.store(pair[0], pair[1], {**pair[1], **other})
    differing = {name for name in {**pair[1], **other} if pair[1].get(name) != {**pair[1], **other}.get(name)}
    candidate = parse_patch(repo.diff(old, new, *options))
    measured = parse_patch(repo.diff(old, wrong, "-M"))
    assert {mismatch.path for mismatch in mismatches(candidate, measured)} >= differing

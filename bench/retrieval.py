"""How well, and how fast, the files that a commit touches are found from its message.

    .venv/bin/python bench/retrieval.py [HISTORY] [--all] [--commits N] [--max-files N]

HISTORY is any git repository (this project's own clone unless given). Of its newest commits (with `--all`, of all
branches), without merges, those are taken that change between 1 and `--max-files` files which were there before; the
message is the query, the parent's tree is searched, and the files changed are the truth. Recall is the share of them
among the first 5 or 10 files. Three ways side by side on the same trees:

- grep: `git grep` for each word, files by the sum of idf x log(1 + lines that match), nothing indexed;
- bm25: bm25s on whole files, with its own tokenizer, indexed anew for each tree;
- ours: `aicd_brain.retrieval`, one index that goes along with the history from the oldest commit to the newest.

bm25s is not of the product: `.tools/bin/uv pip install -r bench/requirements.lock`.
"""

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import bm25s
from bm25s.tokenization import tokenize

from aicd_brain.retrieval.lexical import update
from aicd_brain.retrieval.ranking import best_files
from aicd_brain.retrieval.tree import as_source, is_wanted
from aicd_brain.retrieval.values import SourceFile
from aicd_brain.retrieval.words import words_of

CUTS = (5, 10)
MIN_WORDS = 3


@dataclass(frozen=True)
class Case:
    """One commit: what is asked, of which tree, and which files it changed."""

    parent: str
    query: str
    truth: frozenset[str]


@dataclass
class Figures:
    """What one way of searching came to; times in seconds."""

    recall: dict[int, list[float]] = field(default_factory=lambda: {cut: [] for cut in CUTS})
    index: list[float] = field(default_factory=list)
    query: list[float] = field(default_factory=list)

    def add(self, case: Case, found: Sequence[str]) -> None:
        for cut in CUTS:
            self.recall[cut].append(len(case.truth.intersection(found[:cut])) / len(case.truth))


Tree = tuple[SourceFile, ...]
Search = Callable[[str], Sequence[str]]
Indexing = Callable[[str, Tree], Search]


class History:
    """The commits and trees of a repository."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.blob = cache(self._blob)

    def git(self, *arguments: str, missing_is_fine: bool = False) -> bytes:
        done = subprocess.run(["git", "-C", str(self._root), *arguments], capture_output=True, check=False)
        if done.returncode and not (missing_is_fine and done.returncode == 1):
            raise SystemExit(
                f"git {arguments[0]} failed in {self._root}: {done.stderr.decode(errors='replace').strip()}"
            )
        return done.stdout

    def cases(self, count: int, max_files: int, *, everywhere: bool) -> list[Case]:
        """The newest commits that can be asked about, oldest first."""
        found: list[Case] = []
        where = ["--all"] if everywhere else []
        for line in self.git("log", "--no-merges", "--date-order", "--format=%H %P", *where).decode().splitlines():
            sha, _, parent = line.partition(" ")
            if len(found) == count:
                break
            if not parent:
                continue
            names = self.git("diff", "--name-only", "--no-renames", "--diff-filter=MD", "-z", parent, sha)
            truth = frozenset(path for path in names.decode(errors="replace").split("\0") if path and is_wanted(path))
            query = self.git("log", "-1", "--format=%B", sha).decode(errors="replace")
            if 1 <= len(truth) <= max_files and len(set(words_of(query))) >= MIN_WORDS:
                found.append(Case(parent, query, truth))
        return found[::-1]

    def tree(self, commit: str) -> Tree:
        """The text files of a commit."""
        found: list[SourceFile] = []
        for entry in self.git("ls-tree", "-r", "-z", commit).decode(errors="replace").split("\0"):
            meta, _, path = entry.partition("\t")
            if path and meta.split()[1] == "blob" and not meta.startswith("120000") and is_wanted(path):
                file = as_source(path, self.blob(meta.split()[2]))
                found += [file] if file else []
        return tuple(found)

    def _blob(self, name: str) -> bytes:
        return self.git("cat-file", "blob", name)


def grep(history: History) -> Indexing:
    """Nothing is indexed; a process for each word."""

    def lines_with(word: str, commit: str) -> Iterator[tuple[str, int]]:
        out = history.git("grep", "-ciF", "-z", "-I", "-e", word, commit, missing_is_fine=True).decode(errors="replace")
        for line in out.splitlines():
            name, _, number = line.rpartition("\0")
            yield name.partition(":")[2], int(number)

    def index(commit: str, tree: Tree) -> Search:
        def search(query: str) -> Sequence[str]:
            scores: Counter[str] = Counter()
            for word in sorted(set(words_of(query))):
                matches = [(path, number) for path, number in lines_with(word, commit) if is_wanted(path)]
                idf = math.log(1 + len(tree) / len(matches)) if matches else 0.0
                scores.update({path: idf * math.log1p(number) for path, number in matches})
            return [path for path, _ in scores.most_common(max(CUTS))]

        return search

    return index


def bm25(_: str, tree: Tree) -> Search:
    """bm25s as it comes."""
    model = bm25s.BM25()
    texts = [f"{file.path}\n{file.text}" for file in tree]
    model.index(tokenize(texts, stopwords="en", show_progress=False), show_progress=False)

    def search(query: str) -> Sequence[str]:
        words = tokenize([query], stopwords="en", show_progress=False)
        numbers, _ = model.retrieve(words, k=min(max(CUTS), len(tree)), show_progress=False)
        return [tree[number].path for number in numbers[0]]

    return search


def ours(folder: Path) -> Indexing:
    """One index for all commits."""

    def index(_: str, tree: Tree) -> Search:
        found = update(folder / "lexical", tree)
        return lambda query: [hit.path for hit in best_files(found, query, max(CUTS))]

    return index


def measure(history: History, cases: Sequence[Case], ways: dict[str, Indexing]) -> dict[str, Figures]:
    """Each way on each case; what git needs to read the tree is not timed."""
    figures = {name: Figures() for name in ways}
    for case in cases:
        tree = history.tree(case.parent)
        for name, indexing in ways.items():
            begun = time.perf_counter()
            search = indexing(case.parent, tree)
            indexed = time.perf_counter()
            found = search(case.query)
            figures[name].query.append(time.perf_counter() - indexed)
            figures[name].index.append(indexed - begun)
            figures[name].add(case, found)
    return figures


def show(figures: dict[str, Figures]) -> None:
    """A table: recall is the mean, times are medians; the first index is the one from nothing."""
    print(f"{'':6}{'recall@5':>10}{'recall@10':>11}{'first index':>13}{'next index':>12}{'query':>10}")
    for name, one in figures.items():
        recalls = [statistics.mean(one.recall[cut]) for cut in CUTS]
        later = statistics.median(one.index[1:] or one.index)
        print(
            f"{name:6}{recalls[0]:>10.3f}{recalls[1]:>11.3f}{one.index[0]:>11.2f} s{later * 1000:>9.1f} ms"
            f"{statistics.median(one.query) * 1000:>7.1f} ms"
        )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("history", nargs="?", type=Path, default=Path(__file__).parents[1], metavar="HISTORY")
    parser.add_argument("--all", action="store_true", help="commits of all branches")
    parser.add_argument("--commits", type=int, default=120, metavar="N")
    parser.add_argument("--max-files", type=int, default=20, metavar="N")
    chosen = parser.parse_args(arguments)
    history = History(chosen.history)
    cases = history.cases(chosen.commits, chosen.max_files, everywhere=chosen.all)
    if not cases:
        raise SystemExit(f"{chosen.history} has no commit that could be asked about; name another history.")
    files = len(history.tree(cases[-1].parent))
    print(f"{len(cases)} commits of {chosen.history.resolve().name}, {files} files in the newest tree")
    with tempfile.TemporaryDirectory(prefix="aicd-bench-") as folder:
        show(measure(history, cases, {"grep": grep(history), "bm25": bm25, "ours": ours(Path(folder))}))


if __name__ == "__main__":
    main(sys.argv[1:])

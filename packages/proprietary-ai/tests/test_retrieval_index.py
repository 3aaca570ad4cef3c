"""The index of words on disk: incremental, shared by processes, and made anew when it is damaged."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aicd_brain.retrieval import lexical
from aicd_brain.retrieval.lexical import update
from aicd_brain.retrieval.locks import locked
from aicd_brain.testing.retrieval import SHOP, files_of
from aicd_core.errors import UnavailableError


def paths(index: lexical.LexicalIndex, query: str, limit: int = 5) -> list[str]:
    return [found.hit.path for found in index.search(query, limit)]


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The paths of the files of each addition."""
    seen: list[list[str]] = []
    add = lexical._add

    def note(index, files):
        seen.append([file.path for file in files])
        add(index, files)

    monkeypatch.setattr(lexical, "_add", note)
    return seen


def test_a_symbol_is_found_by_the_parts_of_its_name(tmp_path: Path):
    index = update(tmp_path / "i", files_of(SHOP))
    [best, *_] = index.search("match the route", 5)
    assert (best.hit.path, best.hit.name, best.hit.first) == ("web/router.js", "Router.matchRoute", 2)
    assert paths(index, "Where do parcels wait?") == ["docs/shipping.md"]
    assert paths(index, "zzz") == paths(index, "") == paths(index, "\"'( AND OR NOT * ^") == []


def test_only_what_is_new_in_a_tree_is_indexed(tmp_path: Path, added: list[list[str]]):
    update(tmp_path / "i", files_of(SHOP))
    update(tmp_path / "i", files_of(SHOP))
    update(tmp_path / "i", files_of(SHOP | {"shop/tax.py": "def sales_tax(): ...\n"}))
    assert added == [sorted(SHOP), ["shop/tax.py"]]


def test_a_search_finds_only_what_is_in_its_tree(tmp_path: Path):
    old = {"a.py": "def alpha(): ...\n", "b.py": "def beta(): ...\n"}
    update(tmp_path / "i", files_of(old))
    new = update(tmp_path / "i", files_of({"a.py": "def gamma(): ...\n", "c.py": "def beta(): ...\n"}))
    assert paths(new, "alpha") == []
    assert paths(new, "beta") == ["c.py"]
    assert paths(update(tmp_path / "i", files_of(old)), "alpha") == ["a.py"]


def test_history_does_not_crowd_out_the_tree(tmp_path: Path):
    for number in range(60):
        index = update(tmp_path / "i", files_of({"a.py": f"def needle(): return {number}\n" + "# needle\n" * number}))
    assert paths(index, "needle", 1) == ["a.py"]


def test_an_index_that_is_mostly_history_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lexical, "SURPLUS_LEAST", 3)
    sizes = []
    for number in range(12):
        index = update(tmp_path / "i", files_of({"a.py": f"def f(): return {number}\n"}))
        sizes.append(index._searcher.num_docs)
    assert max(sizes) <= 2 * (3 + 3 + 2)
    assert paths(index, "10") == []
    assert paths(index, "11") == ["a.py"]
    assert index.outlines()["a.py"][0].name == "f"


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


@pytest.mark.parametrize("suffix", [".store", ".term", ".idx", ".fieldnorm", "meta.json", ".managed.json"])
@pytest.mark.parametrize("harm", [_truncate, _zeros, Path.unlink])
def test_a_damaged_index_is_made_anew(tmp_path: Path, suffix: str, harm: Callable[[Path], None]):
    update(tmp_path / "i", files_of(SHOP))
    for file in [file for file in (tmp_path / "i").iterdir() if file.name.endswith(suffix)]:
        harm(file)
    assert paths(update(tmp_path / "i", files_of(SHOP)), "warehouse") == ["docs/shipping.md"]


WRITER = """
import sys
from pathlib import Path
from aicd_brain.retrieval.lexical import update
from aicd_brain.retrieval.locks import locked
from aicd_brain.testing.retrieval import files_of
folder = Path(sys.argv[1])
number = int(sys.argv[2])
while True:
    tree = {f"f{n}.py": f"def name{n}(): return {number}\\n" * 20 for n in range(300)}
    with locked(folder, 60):
        index = update(folder / "i", files_of(tree))
    assert index.search("name7", 1)[0].hit.path == "f7.py"
    print(number, flush=True)
    number += 2
"""


def writer(folder: Path, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_index_at_once_find_what_is_theirs(tmp_path: Path):
    both = [writer(tmp_path, 0), writer(tmp_path, 1)]
    try:
        for process in both:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(3)][-1].strip().isdigit()
    finally:
        for process in both:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.15, 0.3])
def test_a_process_killed_at_any_moment_leaves_an_index_that_works(tmp_path: Path, moment: float):
    process = writer(tmp_path, 0)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(moment)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with locked(tmp_path, 10):
        assert paths(update(tmp_path / "i", files_of(SHOP)), "warehouse") == ["docs/shipping.md"]


def test_who_waits_too_long_for_the_index_is_told_where_it_is(tmp_path: Path):
    with locked(tmp_path, 1), pytest.raises(UnavailableError, match=str(tmp_path)) as caught, locked(tmp_path, 0.01):
        pass
    assert caught.value.code == "retrieval_locked"

"""What the agent without a model leaves in a folder is exactly the tree of the issue's diff."""

import shutil

import pytest
from dummy_bench import BASE, CHANGED, Bench, Tree, bench, entry, held, lay, text, without

from aicd_core.contracts import PlannedOp, ReviewVerdict

__all__ = ["bench"]

CHANGES: dict[str, tuple[Tree, dict[str, str]]] = {
    "a modified file": (CHANGED, {"src/x.py": "modify"}),
    "a new file in a new folder": (BASE | {"new/deep/y.py": b"y\n"}, {"new/deep/y.py": "create"}),
    "a deleted file": (without("src/x.py", "link"), {"src/x.py": "delete", "link": "delete"}),
    "a renamed file": (
        without("run.sh") | {"bin/start": BASE["run.sh"]},
        {"run.sh": "delete", "bin/start": "create"},
    ),
    "a renamed and edited file": (
        without("src/x.py") | {"src/z.py": b"one\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n"},
        {"src/x.py": "delete", "src/z.py": "create"},
    ),
    "a changed mode": (BASE | {"run.sh": ("100755", b"#!/bin/sh\necho hi\n")}, {"run.sh": "modify"}),
    "a new executable": (BASE | {"tool": ("100755", b"#!/bin/sh\n")}, {"tool": "create"}),
    "no newline at the end": (
        BASE | {"bare.txt": b"changed", "src/x.py": b"one\ntwo\nthree\nfour\nfive\nsix\nseven"},
        {"bare.txt": "modify", "src/x.py": "modify"},
    ),
    "CRLF line ends": (BASE | {"crlf.txt": b"a\r\nB\r\nc\r\nd\n"}, {"crlf.txt": "modify"}),
    "names and content beyond ASCII": (
        BASE | {"caf\u00e9/\u00fc ber.txt": "h\u00e9llo\nw\u00f6rlds \u2028\n".encode(), "\u65e5\u672c": b"x\n"},
        {"caf\u00e9/\u00fc ber.txt": "modify", "\u65e5\u672c": "create"},
    ),
    "awkward names": (
        BASE | {'q"uote\t tab': b"1\n", "new\nline": b"2\n", "trailing ": b"3\n"},
        {'q"uote\t tab': "create", "new\nline": "create", "trailing ": "create"},
    ),
    "empty files": (
        without("empty") | {"void": b"", "src/void": b""},
        {"empty": "delete", "void": "create", "src/void": "create"},
    ),
    "fences in the context": (
        BASE | {"docs/README.md": b"# Title\n\n```\ncodes\n```\n\n   ```sh\nmake all\n   ```\nend\n```diff\n"},
        {"docs/README.md": "modify"},
    ),
    "lines that look like headers": (
        BASE | {"diffs.txt": b"--- a/z\n+++ b/z\n@@ -1 +1 @@\n-a\n+b\n+++ c\n-- \ndiff --git a/y b/y\n"},
        {"diffs.txt": "modify"},
    ),
    "a symlink made and one moved": (
        BASE | {"link": ("120000", b"run.sh"), "docs/up": ("120000", b"../src/x.py")},
        {"link": "modify", "docs/up": "create"},
    ),
    "a symlink that becomes a file": (BASE | {"link": b"a file\n"}, {"link": "modify"}),
    "attributes that would rewrite line ends": (
        BASE
        | {".gitattributes": b"* text eol=crlf ident\n", "src/x.py": b"one\n2 $Id$\nthree\nfour\nfive\nsix\nseven\n"},
        {".gitattributes": "create", "src/x.py": "modify"},
    ),
}


@pytest.mark.parametrize("options", [(), ("-M",), ("--no-prefix",)], ids=["plain", "renames", "no-prefix"])
@pytest.mark.parametrize("name", CHANGES)
async def test_an_issue_with_a_diff_gives_exactly_the_tree_of_the_diff(
    bench: Bench, name: str, options: tuple[str, ...]
) -> None:
    target, ops = CHANGES[name]
    task = bench.task(bench.diff(target, *options))
    plan = await bench.plan(task)
    assert {file.path: file.op for file in plan.steps[0].files} == {path: PlannedOp(op) for path, op in ops.items()}
    await bench.code(task, plan)
    assert held(bench.workspace.folder) == {path: entry(value) for path, value in target.items()}
    review = await bench.review(task, plan, bench.evidence())
    assert (review.verdict, review.findings) == (ReviewVerdict.APPROVE, ())
    assert all(result.met for result in review.criteria)


async def test_the_diff_keeps_its_line_ends_when_the_issue_came_with_crlf(bench: Bench) -> None:
    target = CHANGES["CRLF line ends"][0]
    task = bench.task(bench.diff(target))
    task = task.model_copy(update={"body": task.body.replace("\n", "\r\n")})
    await bench.code(task, await bench.plan(task))
    assert held(bench.workspace.folder)["crlf.txt"] == ("100644", b"a\r\nB\r\nc\r\nd\n")


async def test_a_series_of_diffs_in_one_block_is_one_change(bench: Bench) -> None:
    middle = BASE | {"src/x.py": b"zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\n", "a": b"a\n"}
    end = middle | {"src/x.py": b"zero\none\ntwo\nthree\nfour\nfive\nsix\n7\n8\n", "a": b"b\n"}
    task = bench.task(bench.diff(middle) + bench.diff(end, base=middle))
    plan = await bench.plan(task)
    await bench.code(task, plan)
    assert held(bench.workspace.folder) == {path: entry(value) for path, value in end.items()}
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


async def test_a_diff_made_some_commits_ago_still_applies_further_down(bench: Bench) -> None:
    diff = bench.diff(BASE | {"src/x.py": b"one\ntwo\nthree\nfour\nfive\nSIX\nseven\n"})
    bench.use(BASE | {"src/x.py": b"-2\n-1\n0\none\ntwo\nthree\nfour\nfive\nsix\nseven\n"})
    task = bench.task(diff)
    plan = await bench.plan(task)
    await bench.code(task, plan)
    assert held(bench.workspace.folder)["src/x.py"][1] == (b"-2\n-1\n0\none\ntwo\nthree\nfour\nfive\nSIX\nseven\n")
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


async def test_a_repository_above_the_tree_is_never_found(bench: Bench) -> None:
    (bench.root / ".git").mkdir()
    shutil.copytree(bench.root / "measure.git", bench.root / ".git", dirs_exist_ok=True)
    target = CHANGED
    task = bench.task(bench.diff(target))
    await bench.code(task, await bench.plan(task))
    assert held(bench.workspace.folder) == {path: entry(value) for path, value in target.items()}


NUMBERS = [f"the number {number}" if number % 5 else "" for number in range(1, 60)]
NAMES = [f"some other name, {number} of many" if number % 7 else "" for number in range(1, 50)]
SWAPPED: dict[str, Tree] = {
    "whole": {"a": text(*NUMBERS), "b": text(*NAMES)},
    "without a last newline": {"a": text(*NUMBERS)[:-1], "b": text(*NAMES)},
    "of other modes": {"a": ("100755", text(*NUMBERS)), "b": text(*NAMES)},
}


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("name", SWAPPED)
async def test_two_files_that_change_places_are_approved(bench: Bench, name: str, edited: bool) -> None:
    base = SWAPPED[name]
    bench.use(base)
    target: Tree = {"a": text(*NAMES[:9], "NEW", *NAMES[9:]) if edited else base["b"], "b": base["a"]}
    diff = bench.diff(target, "-B", "-M")
    assert diff.count("rename from ") == 2
    task = bench.task(diff)
    plan = await bench.plan(task)
    await bench.code(task, plan)
    assert held(bench.workspace.folder)["a"][1] == (target["a"] if isinstance(target["a"], bytes) else target["a"][1])
    review = await bench.review(task, plan, bench.evidence())
    assert (review.verdict, review.findings) == (ReviewVerdict.APPROVE, ())
    lay(bench.workspace.folder, target | {"a": text(*NAMES[:18], "not so", *NAMES[19:])})
    review = await bench.review(task, plan, bench.evidence())
    assert [finding.id for finding in review.findings][:1] == ["diff-1:content:a"]

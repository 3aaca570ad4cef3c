"""The agent without a model lays each hunk at the one place that is certain, or refuses it."""

import pytest
from dummy_bench import BASE, TWENTY, Bench, bench, held, lay, plain, text

from aicd_core.contracts import Plan, ReviewVerdict, Task

__all__ = ["bench"]


async def outcome(bench: Bench, diff: str) -> tuple[Task, Plan, bytes]:
    task = bench.task(diff)
    plan = await bench.plan(task)
    await bench.code(task, plan)
    return task, plan, held(bench.workspace.folder)["f"][1]


EDITS: dict[str, list[str]] = {
    "added": [*TWENTY[:5], "NEW", *TWENTY[5:]],
    "added first": ["NEW", *TWENTY],
    "added last": [*TWENTY, "NEW"],
    "removed": [*TWENTY[:4], *TWENTY[5:]],
    "replaced": [*TWENTY[:4], "NEW", *TWENTY[5:]],
    "several": ["0", *TWENTY[:4], "NEW", "NEW", *TWENTY[6:12], *TWENTY[14:], "end"],
    "emptied": [],
}


@pytest.mark.parametrize("prefix", ["", "--no-prefix"])
@pytest.mark.parametrize("name", EDITS)
async def test_a_diff_without_context_is_laid_exactly_where_its_header_says(
    bench: Bench, name: str, prefix: str
) -> None:
    bench.use(BASE | {"f": text(*TWENTY)})
    diff = bench.diff(BASE | {"f": text(*EDITS[name])}, "-U0", *filter(None, [prefix]))
    task, plan, content = await outcome(bench, diff)
    assert content == text(*EDITS[name])
    assert plan.assumptions == ()
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


async def test_a_last_line_without_a_newline_is_not_taken_for_the_one_before(bench: Bench) -> None:
    bench.use({"f": b"x\na\na"})
    task, plan, content = await outcome(bench, bench.diff({"f": b"x\na\n"}, "-U0"))
    assert content == b"x\na\n"
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


async def test_git_hears_of_missing_context_only_where_a_hunk_needs_it(bench: Bench) -> None:
    bench.use({"f": text(*TWENTY), "one": b"1\n"})
    await outcome(bench, bench.diff({"f": text(*EDITS["added"]), "one": b"2\n", "new": b"n\n"}))
    assert not any("--unidiff-zero" in command for command in bench.workspace.commands)
    await outcome(bench, bench.diff({"f": text(*EDITS["added"]), "one": b"1\n"}, "-U0"))
    assert all("--unidiff-zero" in command for command in bench.workspace.commands[-2:])


async def test_a_series_of_diffs_without_context_counts_lines_as_the_earlier_ones_leave_them(bench: Bench) -> None:
    bench.use({"f": text(*TWENTY)})
    middle, end = text("0", *TWENTY), text("0", *TWENTY[:9], "NEW", *TWENTY[9:])
    diff = bench.diff({"f": middle}, "-U0") + bench.diff({"f": end}, "-U0", base={"f": middle})
    task, plan, content = await outcome(bench, diff)
    assert content == end
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


@pytest.mark.parametrize(
    "wrong", [[*TWENTY, "NEW"], [*TWENTY[:6], "NEW", *TWENTY[6:]], [*TWENTY[:4], "NEW", *TWENTY[4:]]]
)
@pytest.mark.parametrize("options", [("-U0",), ()])
async def test_the_right_lines_at_a_wrong_place_are_rejected(
    bench: Bench, wrong: list[str], options: tuple[str, ...]
) -> None:
    bench.use({"f": text(*TWENTY)})
    task = bench.task(bench.diff({"f": text(*EDITS["added"])}, *options))
    plan = await bench.plan(task)
    lay(bench.workspace.folder, {"f": text(*wrong)})
    review = await bench.review(task, plan, bench.evidence())
    assert [finding.id for finding in review.findings] == ["diff-1:content:f"]
    assert "the diff says '+NEW\\n' at line 6 where the tree has '+NEW\\n' at line" in review.findings[0].message


BLOCK = ["{", "  a", "  b", "}"]
REPEATED = [*TWENTY[:3], *BLOCK, *TWENTY[3:6], *BLOCK, *TWENTY[6:]]
INTO_BLOCK = "@@ -{0},4 +{0},5 @@\n {{\n   a\n+  NEW\n   b\n }}\n"


@pytest.mark.parametrize(
    ("hunks", "reason"),
    [
        (
            INTO_BLOCK.format(6),
            (
                "hunk 1 of 'f' could go to several places: its header says line 6, where its lines are not, and its "
                "lines are found at the lines 4, 11"
            ),
        ),
        (
            "@@ -2,2 +2,3 @@\n l2\n+NEW\n l3\n" + INTO_BLOCK.format(10),
            (
                "hunk 2 of 'f' could go to several places: its header says line 10, where its lines are not, and its "
                "lines are found at the lines 4, 11"
            ),
        ),
        (
            "@@ -3,2 +3,3 @@\n l1\n+NEW\n l2\n" + INTO_BLOCK.format(11),
            (
                "hunk 2 of 'f' could go to several places: its header says line 11, but a hunk before it had to be "
                "moved, and its lines are found at the lines 4, 11"
            ),
        ),
        (
            "@@ -16,2 +16,3 @@\n l8\n+NEW\n l9\n@@ -18,2 +19,3 @@\n l1\n+NEW\n l2\n",
            "hunk 2 of 'f' belongs at line 1, which is above the hunk before it",
        ),
        ("@@ -5 +5 @@\n-l5\n+NEW\n", "hunk 1 of 'f' does not match: at line 5 the diff expects 'l5', but the file"),
        ("@@ -90,0 +91 @@\n+NEW\n", "hunk 1 of 'f' does not match: the diff adds lines after line 90, where"),
        (
            "@@ -5,0 +6 @@\n+NEW\n\\ No newline at end of file\n",
            "hunk 1 of 'f' does not match: the diff adds lines after line 5, where",
        ),
    ],
)
async def test_a_hunk_without_one_certain_place_is_refused_with_its_line_and_the_candidates(
    bench: Bench, hunks: str, reason: str
) -> None:
    bench.use({"f": text(*REPEATED)})
    error = await bench.plan_error(bench.task(plain("f", hunks)))
    assert error.code == "patch_does_not_apply"
    assert reason in error.message


async def test_lines_that_are_repeated_go_to_the_line_that_the_header_names(bench: Bench) -> None:
    bench.use({"f": text(*REPEATED)})
    task, plan, content = await outcome(bench, plain("f", INTO_BLOCK.format(11)))
    assert content == text(*REPEATED[:12], "  NEW", *REPEATED[12:])
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


async def test_a_header_whose_two_sides_disagree_is_laid_by_its_old_side(bench: Bench) -> None:
    bench.use({"f": text(*REPEATED)})
    hunk = INTO_BLOCK.format(11).replace("+11,5", "+4,5")
    _, _, content = await outcome(bench, plain("f", hunk))
    assert content == text(*REPEATED[:12], "  NEW", *REPEATED[12:])


async def test_a_hunk_that_is_moved_to_its_only_place_is_named_in_the_plan_and_nowhere_else_approved(
    bench: Bench,
) -> None:
    bench.use({"f": text("-1", "0", *TWENTY)})
    diff = plain("f", "@@ -5,4 +5,5 @@\n l5\n l6\n+NEW\n l7\n l8\n@@ -18,3 +19,2 @@\n l18\n-l19\n l20\n")
    task, plan, content = await outcome(bench, diff)
    assert content == text("-1", "0", *TWENTY[:6], "NEW", *TWENTY[6:18], "l20")
    assert plan.assumptions == (
        "Hunk 1 of diff 1 is laid at line 7, not at line 5: its lines are nowhere else in 'f'.",
        "Hunk 2 of diff 1 is laid at line 20, not at line 18: its lines are nowhere else in 'f'.",
    )
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE
    lay(bench.workspace.folder, {"f": text("-1", "0", *TWENTY[:5], "NEW", *TWENTY[5:18], "l20")})
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.REJECT

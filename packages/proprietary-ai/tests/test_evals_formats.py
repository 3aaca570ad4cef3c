"""Tasks in, results out: the folder's format, SWE-bench's, sums and comparisons."""

import json
from pathlib import Path

import pytest

from aicd_brain.evals.folder import read_folder
from aicd_brain.evals.report import compare, in_words, read_report, total
from aicd_brain.evals.swebench import predictions, read_swebench
from aicd_brain.evals.values import EvalReport, EvalTask, Outcome, TaskResult
from aicd_core.contracts import Usage
from aicd_core.errors import InvalidInputError
from aicd_core.patches import extract_patches

OURS = Path(__file__).parents[1] / "evals" / "tasks"


def result(name: str, outcome: Outcome, cost: int = 0) -> TaskResult:
    usage = Usage(input_tokens=10, cached_input_tokens=5, output_tokens=2, cost_micro_usd=cost)
    return TaskResult(id=name, outcome=outcome, job_id="j", usage=usage, duration_s=1.5, patch=f"patch of {name}")


def report(*results: TaskResult) -> EvalReport:
    return EvalReport(agent="a", started_at="now", results=results, totals=total(results))


def test_our_own_tasks_are_ten_in_several_languages_each_with_tests_and_a_solution():
    tasks = read_folder(OURS)
    assert len(tasks) == 10
    assert len({task.language for task in tasks}) >= 5
    assert all(task.tests and task.hidden and task.solution and task.needs for task in tasks)
    assert not any(path in task.issue for task in tasks for path in task.hidden)


def test_an_issue_with_its_solution_is_fenced_longer_than_any_fence_in_it(tmp_path: Path):
    diff = "--- a/x.md\n+++ b/x.md\n@@ -1 +1 @@\n-a\n+```\n"
    issue = EvalTask("t", "Words\n", tmp_path, solution=diff).issue_with_solution()
    assert issue == f"Words\n\n````diff\n{diff}````\n"
    assert [found.strip() for found in extract_patches(issue)] == [diff.strip()]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tests = []", "tests"),
        ('tests = ["t"]\nlanguages = "x"', "languages"),
        ("tests = 3", "tests"),
        ("tests =", "task.toml|Invalid|bad|TOML"),
        ('tests = ["t"]\nrepository = "absent"', "absent"),
    ],
)
def test_a_task_that_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str, says: str):
    place = tmp_path / "broken"
    (place / "repository").mkdir(parents=True)
    (place / "issue.md").write_text("Issue")
    (place / "task.toml").write_text(text)
    with pytest.raises(InvalidInputError, match="broken") as caught:
        read_folder(tmp_path)
    assert any(word in caught.value.message for word in says.split("|"))


def test_a_folder_without_tasks_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInputError, match="holds no task"):
        read_folder(tmp_path)


INSTANCE = {
    "instance_id": "acme__shop-1",
    "repo": "acme/shop",
    "base_commit": "a" * 40,
    "problem_statement": "It fails.",
    "patch": "p",
    "test_patch": "t",
    "FAIL_TO_PASS": '["tests/test_a.py::test_one two"]',
    "PASS_TO_PASS": ["tests/test_b.py"],
    "version": "1",
    "hints_text": "",
}


@pytest.mark.parametrize("clone", ["acme__shop", "acme/shop", "shop"])
def test_a_swe_bench_line_is_a_task_of_a_local_clone(tmp_path: Path, clone: str):
    (tmp_path / "clones" / clone).mkdir(parents=True)
    (tmp_path / "lite.jsonl").write_text(json.dumps(INSTANCE) + "\n\n")
    [task] = read_swebench(tmp_path / "lite.jsonl", tmp_path / "clones", "python3 -m pytest {tests}")
    assert task.id == "acme__shop-1"
    assert (task.issue, task.base, task.solution, task.test_patch) == ("It fails.", "a" * 40, "p", "t")
    assert task.repository == tmp_path / "clones" / clone
    assert task.tests == ("python3 -m pytest 'tests/test_a.py::test_one two' tests/test_b.py",)
    [unjudged] = read_swebench(tmp_path / "lite.jsonl", tmp_path / "clones", None)
    assert unjudged.tests is None


def test_a_swe_bench_file_that_cannot_be_used_names_the_line_or_the_clone(tmp_path: Path):
    file = tmp_path / "lite.jsonl"
    file.write_text(json.dumps(INSTANCE))
    with pytest.raises(InvalidInputError, match="acme__shop"):
        read_swebench(file, tmp_path, None)
    (tmp_path / "shop").mkdir()
    file.write_text(json.dumps(INSTANCE) + "\n{}\n")
    with pytest.raises(InvalidInputError, match="line 2"):
        read_swebench(file, tmp_path, None)


def test_predictions_have_a_line_for_each_task_that_was_tried():
    skipped = TaskResult(id="s", outcome=Outcome.SKIPPED)
    lines = predictions("me", [result("a", Outcome.UNRESOLVED), skipped]).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"instance_id": "a", "model_name_or_path": "me", "model_patch": "patch of a"}
    ]


def test_the_rate_counts_what_could_be_judged_and_the_sums_count_all():
    sums = total(
        [
            result("a", Outcome.RESOLVED, 1_500_000),
            result("b", Outcome.UNRESOLVED),
            result("c", Outcome.ERROR),
            result("d", Outcome.NO_PULL_REQUEST),
            result("e", Outcome.SKIPPED),
            result("f", Outcome.UNJUDGED, 500_000),
        ]
    )
    assert (sums.tasks, sums.counted, sums.resolved, sums.rate) == (6, 4, 1, 0.25)
    assert (sums.cost_usd, sums.duration_s, sums.usage.input_tokens) == (2.0, 9.0, 60)
    assert total([]).rate is None


def test_runs_are_compared_over_the_tasks_that_both_counted(tmp_path: Path):
    before = report(
        result("a", Outcome.RESOLVED),
        result("b", Outcome.UNRESOLVED),
        result("c", Outcome.SKIPPED),
        result("d", Outcome.RESOLVED),
    )
    (tmp_path / "results.json").write_text(before.model_dump_json())
    earlier = read_report(tmp_path)
    assert earlier == read_report(tmp_path / "results.json") == before
    now = [result("a", Outcome.ERROR), result("b", Outcome.RESOLVED), result("c", Outcome.RESOLVED)]
    change = compare(earlier, now)
    assert (change.tasks, change.gained, change.lost) == (2, ("b",), ("a",))
    assert (change.before.resolved, change.now.resolved) == (1, 1)
    words = in_words(report(*now).model_copy(update={"comparison": change}))
    assert "gained  b\n" in words
    assert "66.7 % resolved (2 of 3)" in words


def test_earlier_results_that_cannot_be_read_are_refused(tmp_path: Path):
    (tmp_path / "results.json").write_text("{}")
    for place in (tmp_path, tmp_path / "absent.json"):
        with pytest.raises(InvalidInputError, match="holds no results"):
            read_report(place)

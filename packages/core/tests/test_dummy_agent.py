"""The agent without a model: what it plans, tries, rejects and says, on real folders with real git."""

import pytest
from dummy_bench import BASE, CHANGED, Bench, Tree, bench, entry, failed, feedback_of, held, lay, passed, without

from aicd_core.contracts import PlanStep, PolicyFinding, PolicyReport, PolicyVerdict, Review, ReviewVerdict, TestReport
from aicd_core.errors import StepFailedError

__all__ = ["bench"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("It is broken.\n\nIn two ways.", "Mend it\n\nIt is broken."),
        ("Mend it\n\nIt is broken.\n\nIn two ways.", "Mend it\n\nIt is broken."),
        ("\n## Mend it\r\n\r\nIt is\r\nbroken.", "Mend it\n\nIt is broken."),
        ("Mend it\nIt is broken.", "Mend it\n\nIt is broken."),
        ("Mend it", "Mend it"),
    ],
)
async def test_a_title_that_opens_the_issue_is_not_said_twice(bench: Bench, body: str, problem: str) -> None:
    task = bench.task(bench.diff(without("empty")))
    blocks = task.body.partition("\n\n")[2]
    plan = await bench.plan(task.model_copy(update={"body": f"{body}\n\n{blocks}"}))
    assert plan.problem == problem


async def test_a_command_of_many_lines_is_named_in_one(bench: Bench) -> None:
    task = bench.task(bench.diff(without("empty")))
    plan = await bench.plan(task)
    await bench.code(task, plan)
    red = TestReport(tests=(failed("set -e\nmake test\n", "E"),))
    (finding,) = (await bench.review(task, plan, bench.evidence(tests=red))).findings
    assert finding.message == "With diff 1 applied, `set -e make test` ended with: exit code 1.\nE"


async def test_the_plan_says_what_why_and_how_it_is_checked(bench: Bench) -> None:
    task = bench.task(bench.diff(without("empty")), tests=("make lint", "make test"))
    plan = await bench.plan(task)
    assert (plan.base_sha, plan.problem) == (bench.base_sha, "Mend it\n\nIt is broken.")
    assert plan.test_commands == ("make lint", "make test")
    assert [(c.id, c.verify) for c in plan.acceptance_criteria] == [
        ("patch-applied", "Compare the measured change with the diff, line by line."),
        ("tests-pass", "make lint && make test"),
    ]
    assert (plan.risk.level, plan.risk.reasons) == ("medium", ("Files deleted or moved away: 1.",))
    assert (plan.estimate.steps, plan.estimate.usd, plan.assumptions) == (1, 0, ())
    assert bench.session.said == ["Trying diff 1 of the issue on the base commit"]


async def test_a_plan_without_test_commands_says_so(bench: Bench) -> None:
    plan = await bench.plan(bench.task(bench.diff(BASE | {"n": b"n\n"}), tests=()))
    said = "No test command is declared, so nothing but the diff itself can be checked."
    assert plan.assumptions == (said,)
    assert plan.acceptance_criteria[1].verify == said


async def test_rounds_try_the_diffs_in_order_each_on_the_untouched_base(bench: Bench) -> None:
    wrong, right = BASE | {"wrong": b"w\n"}, BASE | {"src/x.py": b"1\n"}
    task = bench.task(bench.diff(wrong), bench.diff(right))
    plan = await bench.plan(task)
    assert plan.paths() == {"wrong", "src/x.py"}

    await bench.code(task, plan)
    red = TestReport(tests=(passed("make lint"), failed("make test", "x" * 9_000 + "\nE assert 1 == 2\n")))
    first = await bench.review(task, plan, bench.evidence(tests=red))
    (finding,) = first.findings
    assert (first.verdict, finding.id, finding.must_fix) == (ReviewVerdict.REJECT, "diff-1:command-failed", True)
    assert finding.message.startswith("With diff 1 applied, `make test` ended with: exit code 1.\n…xxx")
    assert finding.message.endswith("E assert 1 == 2")
    assert len(finding.message) < 2_200
    assert [(result.id, result.met) for result in first.criteria] == [("patch-applied", True), ("tests-pass", False)]

    await bench.code(task, plan, feedback_of(first, 1))
    assert held(bench.workspace.folder) == {path: entry(value) for path, value in right.items()}
    second = await bench.review(task, plan, bench.evidence(number=2))
    assert second.verdict is ReviewVerdict.APPROVE

    with pytest.raises(StepFailedError) as caught:
        await bench.code(task, plan, feedback_of(first, 2))
    assert caught.value.code == "candidates_exhausted"
    assert "were tried (2)" in caught.value.message
    assert "`make test` ended with: exit code 1" in caught.value.message


async def test_a_policy_that_denies_the_last_diff_is_quoted(bench: Bench) -> None:
    task = bench.task(bench.diff(CHANGED))
    plan = await bench.plan(task)
    denied = PolicyReport(
        verdict=PolicyVerdict.DENY,
        findings=(
            PolicyFinding(
                rule="protected_paths",
                verdict=PolicyVerdict.DENY,
                message="'src/x.py' is protected.",
                remedy="Ask its owners.",
            ),
        ),
    )
    with pytest.raises(StepFailedError, match=r"'src/x\.py' is protected\. Ask its owners\.") as caught:
        await bench.code(task, plan, feedback_of(Review(verdict=ReviewVerdict.REJECT), 1, denied))
    assert caught.value.code == "policy_denied"


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        ({"src/x.py": b"one\nTWO\nthree\nfour\nfive\nsix\nseven\n"}, "diff-1:content:src/x.py"),
        ({"src/x.py": BASE["src/x.py"]}, "diff-1:missing:src/x.py"),
        ({"bare.txt": b"touched"}, "diff-1:extra:bare.txt"),
        ({"surplus": b""}, "diff-1:extra:surplus"),
        ({"run.sh": ("100644", b"#!/bin/sh\necho hi\n")}, "diff-1:mode:run.sh"),
        ({"new": ("100755", b"n\n")}, "diff-1:mode:new"),
        ({"new": None}, "diff-1:missing:new"),
        ({"empty": b""}, "diff-1:missing:empty"),
        ({"crlf.txt": None}, "diff-1:extra:crlf.txt"),
        ({"src/x.py": None}, "diff-1:deleted:src/x.py"),
        ({"image.bin": b"\0"}, "diff-1:extra:image.bin"),
    ],
)
async def test_a_change_that_is_not_exactly_the_diff_is_rejected_whatever_the_coder_claims(
    bench: Bench, spoil: dict[str, bytes | tuple[str, bytes] | None], finding: str
) -> None:
    target = without("empty") | {
        "src/x.py": b"one\nTWO\nthree\nfour\nfive\nsix\nSEVEN\n",
        "run.sh": ("100755", b"#!/bin/sh\necho hi\n"),
        "new": b"n\n",
    }
    task = bench.task(bench.diff(target))
    plan = await bench.plan(task)
    spoilt: Tree = {path: value for path, value in (target | spoil).items() if value is not None}
    lay(bench.workspace.folder, spoilt)
    review = await bench.review(task, plan, bench.evidence(claim="Applied diff 1 of the issue in full."))
    assert review.verdict is ReviewVerdict.REJECT
    assert [item.id for item in review.findings] == [finding]
    assert review.criteria[0].met is False


async def test_a_set_up_that_fails_is_a_reason_to_reject(bench: Bench) -> None:
    task = bench.task(bench.diff(CHANGED))
    plan = await bench.plan(task)
    await bench.code(task, plan)
    report = TestReport(setup=(failed("pip install x", "no network"),), tests=(failed("make test", "E"),))
    review = await bench.review(task, plan, bench.evidence(tests=report))
    assert "`pip install x` ended with: exit code 1" in review.findings[0].message
    assert "Also failed: `make test` ended with: exit code 1." in review.findings[0].message


async def test_faults_of_its_plan_cannot_be_answered_without_a_model(bench: Bench) -> None:
    task = bench.task(bench.diff(CHANGED))
    with pytest.raises(StepFailedError, match=r"1\. src/x\.py is protected\.") as caught:
        await bench.agent.plan(task, ("1. src/x.py is protected.",), bench.workspace, bench.session)
    assert caught.value.code == "plan_refused"


async def test_a_plan_of_another_agent_is_not_carried_out(bench: Bench) -> None:
    task = bench.task(bench.diff(CHANGED))
    plan = await bench.plan(task)
    foreign = plan.model_copy(update={"steps": (PlanStep(id="s1", goal="think"),)})
    with pytest.raises(StepFailedError, match="not made by this agent") as caught:
        await bench.code(task, foreign)
    assert caught.value.code == "foreign_plan"


async def test_a_cancelled_job_stops_before_the_next_action(bench: Bench) -> None:
    task = bench.task(bench.diff(CHANGED))
    plan = await bench.plan(task)
    bench.session.cancelled = True
    bench.workspace.commands.clear()
    with pytest.raises(StepFailedError) as caught:
        await bench.code(task, plan)
    assert caught.value.code == "cancelled"
    assert bench.workspace.commands == []


async def test_a_sandbox_without_git_is_told_apart_from_a_bad_diff(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = bench.task(bench.diff(CHANGED))
    monkeypatch.setenv("PATH", "/nonexistent")
    error = await bench.plan_error(task)
    assert error.code == "git_apply_unavailable"
    assert "exit code 127" in error.message

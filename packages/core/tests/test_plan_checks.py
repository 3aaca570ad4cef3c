"""A plan is checked before a coder's token is spent; each fault has its sentence."""

import pytest

from aicd_core.contracts import AcceptanceCriterion, Plan, PlannedFile, PlannedOp, PlanStep
from aicd_core.orchestrator.plan_checks import PlanFault, check_plan, numbered
from aicd_core.testing.agents import plan_for

SHA = "a" * 40
PATHS = frozenset({"old.txt", "src/app.py"})


def step(name: str, *files: tuple[str, PlannedOp], after: tuple[str, ...] = (), criteria=("done",)) -> PlanStep:
    planned = tuple(PlannedFile(path=path, op=op) for path, op in files)
    return PlanStep(id=name, goal="Do it.", files=planned, depends_on=after, criteria=criteria)


def plan_of(*steps: PlanStep, criteria: tuple[str, ...] = ("done",)) -> Plan:
    promised = tuple(AcceptanceCriterion(id=name, text="t", verify="v") for name in criteria)
    return plan_for(SHA).model_copy(update={"steps": steps, "acceptance_criteria": promised})


def faults_of(plan: Plan, base: str = SHA) -> list[str]:
    return [fault.message for fault in check_plan(plan, base, PATHS, lambda path: None)]


GOOD = plan_of(
    step("one", ("new.txt", PlannedOp.CREATE), ("old.txt", PlannedOp.DELETE)),
    step("two", ("new.txt", PlannedOp.MODIFY), ("old.txt", PlannedOp.CREATE), after=("one",)),
)


def test_a_good_plan_has_no_fault():
    assert faults_of(GOOD) == []


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (plan_of(), "no step"),
        (plan_of(step("a"), step("a")), "step id 'a' is used 2 times"),
        (plan_of(step("a"), criteria=("done", "done")), "criterion id 'done' is used 2 times"),
        (plan_of(step("a", after=("b",))), "'b', which is no step"),
        (plan_of(step("a", after=("b",)), step("b", after=("a",))), "in a circle"),
        (plan_of(step("a", criteria=()), criteria=()), "no acceptance criterion"),
        (plan_of(step("a", criteria=())), "No step covers the criterion 'done'"),
        (plan_of(step("a", criteria=("done", "ghost"))), "'ghost', which the plan does not declare"),
        (plan_of(step("a", ("old.txt", PlannedOp.CREATE))), "'old.txt', which exists already"),
        (plan_of(step("a", ("gone.txt", PlannedOp.DELETE))), "'gone.txt', which does not exist"),
        (
            plan_of(step("a", ("old.txt", PlannedOp.DELETE)), step("b", ("old.txt", PlannedOp.MODIFY))),
            "modify 'old.txt', which does not exist",
        ),
        (plan_of(step("a", ("src", PlannedOp.CREATE))), "'src', which is a folder"),
        (plan_of(step("a", ("old.txt/x", PlannedOp.CREATE))), "'old.txt' is a file"),
        *((plan_of(step("a", (path, PlannedOp.CREATE))), "no path inside") for path in
          ("/etc/passwd", "../up", "a/../../b", "a//b", ".git/config", "sub/.GIT/x", "./x")),
    ],
)  # fmt: skip
def test_each_fault_is_named(plan: Plan, says: str):
    assert any(says in fault for fault in faults_of(plan)), faults_of(plan)


def test_a_plan_for_another_commit_is_refused():
    assert faults_of(GOOD, base="b" * 40) == [f"The plan is for commit {SHA}, the job starts from {'b' * 40}."]


def test_what_policy_forbids_is_a_fault_of_its_own_kind():
    plan = plan_of(step("a", ("new.txt", PlannedOp.CREATE)))
    (fault,) = check_plan(plan, SHA, PATHS, lambda path: f"{path} is protected.")
    assert fault == PlanFault("Step 'a' touches 'new.txt': new.txt is protected.", forbidden="new.txt")
    assert fault.by_policy


def test_faults_go_back_numbered():
    assert numbered([PlanFault("One."), PlanFault("Two.")]) == ("1. One.", "2. Two.")


def test_the_structure_hash_binds_what_will_be_done_and_nothing_else():
    reworded = GOOD.model_copy(update={"problem": "Other words.", "assumptions": ("an assumption",)})
    other_file = plan_of(*GOOD.steps, step("three", ("third.txt", PlannedOp.CREATE)))
    assert reworded.structure_hash() == GOOD.structure_hash()
    assert other_file.structure_hash() != GOOD.structure_hash()
    assert len(GOOD.structure_hash()) == 64

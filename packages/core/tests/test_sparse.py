"""Which part of a commit is laid out, and what a file elsewhere would do to the rest."""

import pytest

from aicd_core.contracts import AcceptanceCriterion, Estimate, Plan, PlannedFile, PlannedOp, PlanStep, Risk
from aicd_core.errors import InvalidInputError
from aicd_core.orchestrator.plan_checks import check_plan
from aicd_core.repo_config import Sparse, parse_repository_config

PATHS = frozenset(
    {
        *("README.md", "lib/a.py", "lib/deep/b.py", "packages/package.json", "packages/web/index.js"),
        *("packages/web/src/app.js", "packages/api/main.go", "link", "single/only.txt"),
    }
)


def test_folders_and_the_files_above_them_are_laid_out() -> None:
    sparse = Sparse(("packages/web/",), PATHS)
    laid = {path for path in PATHS if sparse.holds(path)}
    assert laid == {"README.md", "link", "packages/package.json", "packages/web/index.js", "packages/web/src/app.js"}
    assert sparse.holds("packages/web/new/file")
    assert not sparse.holds("packages/web2/file")
    assert all(Sparse((), PATHS).holds(path) for path in PATHS)


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("lib/a.py", "lib/a.py"),
        ("lib/new.py", "lib/a.py"),
        ("lib/new/deep.py", "lib/a.py"),
        ("lib", "lib/a.py"),
        ("packages/api", "packages/api/main.go"),
        ("packages", "packages/api/main.go"),
        ("packages/api/main.go/x", "packages/api/main.go"),
        ("single", "single/only.txt"),
        ("lib/a.py/below", "lib/a.py"),
        ("packages/web/new.js", None),
        ("packages/new.json", None),
        ("new", None),
        ("brand/new.py", None),
        ("packages/brand/new.py", None),
        ("libs/new.py", None),
        ("li", None),
    ],
)
def test_what_is_left_out_is_in_the_way_of_whatever_would_change_or_hide_it(path: str, hidden: str | None) -> None:
    assert Sparse(("packages/web",), PATHS).in_the_way(path) == hidden
    assert Sparse((), PATHS).in_the_way(path) is None


def test_a_folder_that_is_not_there_is_an_error() -> None:
    for wrong in ("packages/wep", "README.md", "packages/we"):
        with pytest.raises(InvalidInputError, match=r"checkout\.sparse: the commit has no folder") as caught:
            Sparse((wrong,), PATHS)
        assert caught.value.code == "invalid_config"


def test_folders_are_written_as_in_a_shell() -> None:
    config = parse_repository_config(b"checkout: {sparse: [packages/web, .github/, '...odd', 'a b/c.d']}")
    assert config.checkout.sparse == ("packages/web", ".github/", "...odd", "a b/c.d")
    for wrong in ("/abs", "../up", "a/../b", ".", "a//b", "src/*", "a\\\\b", "a/.", "", "a/./b", ".."):
        with pytest.raises(InvalidInputError, match=r"key checkout\.sparse\[0\]: this must be a folder"):
            parse_repository_config(f'checkout: {{sparse: ["{wrong}"]}}'.encode())


def test_a_plan_outside_of_the_work_tree_goes_back() -> None:
    def faults(path: str, op: PlannedOp) -> list[str]:
        step = PlanStep(id="S1", goal="g", files=(PlannedFile(path=path, op=op),), criteria=("A1",))
        plan = Plan(
            base_sha="a" * 40,
            problem="p",
            acceptance_criteria=(AcceptanceCriterion(id="A1", text="t", verify="v"),),
            steps=(step,),
            risk=Risk(level="low"),
            estimate=Estimate(steps=1, usd=0),
        )
        found = check_plan(plan, "a" * 40, PATHS, lambda _: None, ("packages/web",))
        assert not any(fault.by_policy for fault in found)
        return [fault.message for fault in found]

    assert "outside of the work tree" in faults("lib/a.py", PlannedOp.MODIFY)[0]
    assert "outside of the work tree" in faults("lib/new.py", PlannedOp.CREATE)[0]
    assert "which does not exist" in faults("packages/web/nothing.js", PlannedOp.MODIFY)[0]
    assert not faults("packages/web/index.js", PlannedOp.MODIFY)
    assert not faults("brand/new.py", PlannedOp.CREATE)

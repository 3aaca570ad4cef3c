"""What the policy engine says of a change, rule by rule."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicd_core.contracts import (
    AcceptanceCriterion,
    ChangeSet,
    CommandResult,
    Estimate,
    FileChange,
    FileOp,
    Plan,
    PlannedFile,
    PlannedOp,
    PlanStep,
    PolicyFinding,
    PolicyVerdict,
    Risk,
    TestReport,
)
from aicd_core.policy import DEFAULT_RULES, MAX_FINDINGS_PER_RULE, Rules, RuleVerdicts, evaluate, plan_of
from aicd_core.policy.checks import CHECKS

BASE, TREE = "a" * 40, "b" * 40
ALLOW, ASK, DENY = PolicyVerdict.ALLOW, PolicyVerdict.ASK, PolicyVerdict.DENY
GREEN = TestReport(tests=(CommandResult(command="make test", exit_code=0, output="", duration=1),))


def plan_for(*paths: str) -> Plan:
    files = tuple(PlannedFile(path=path, op=PlannedOp.MODIFY) for path in paths)
    return Plan(
        base_sha=BASE,
        problem="p",
        acceptance_criteria=(AcceptanceCriterion(id="A1", text="t", verify="v"),),
        steps=(PlanStep(id="S1", goal="g", files=files, criteria=("A1",)),),
        risk=Risk(level="low"),
        estimate=Estimate(steps=1, usd=0),
    )


def patch_creating(path: str, *lines: str) -> bytes:
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\nindex {'0' * 40}..{TREE}\n"
    body = "".join(f"+{line}\n" for line in lines)
    return f"{head}--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}".encode()


def change_of(*files: FileChange, patch: bytes = b"") -> ChangeSet:
    return ChangeSet(base_sha=BASE, tree_sha=TREE, files=files, patch=patch)


def modified(path: str, **more: object) -> FileChange:
    return FileChange.model_validate({"path": path, "op": FileOp.MODIFY, **more})


def findings_of(
    *files: FileChange, patch: bytes = b"", tests: TestReport = GREEN, rules: Rules = DEFAULT_RULES
) -> tuple[PolicyFinding, ...]:
    """What is found when the plan names every path of the change."""
    change = change_of(*files, patch=patch)
    return evaluate(change, plan_of(files, BASE, "a change"), tests, rules, {}).findings


def rules_hit(*files: FileChange, **more: object) -> dict[str, PolicyVerdict]:
    return {finding.rule: finding.verdict for finding in findings_of(*files, **more)}  # type: ignore[arg-type]


def test_a_small_planned_green_change_is_allowed():
    change = change_of(modified("src/a.py", added_lines=3), patch=patch_creating("src/a.py", "x = 1"))
    report = evaluate(change, plan_for("src/a.py"), GREEN, DEFAULT_RULES, {})
    assert (report.verdict, report.findings) == (ALLOW, ())


def test_an_empty_change_without_tests_is_allowed():
    assert evaluate(change_of(), plan_for(), TestReport(), DEFAULT_RULES, {}).verdict is ALLOW


@pytest.mark.parametrize(
    "path",
    [
        ".aicd.yml",
        ".github/workflows/ci.yml",
        ".github/workflows/deep/er/x.yaml",
        ".GitHub/Workflows/ci.yml",
        ".github/actions/build/action.yml",
        ".gitlab-ci.yml",
        ".circleci/config.yml",
        "Jenkinsfile",
        "services/api/Jenkinsfile",
        "azure-pipelines.yml",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        ".github/CODEOWNERS",
        ".gitmodules",
    ],
)
def test_protected_paths_are_denied(path: str):
    assert rules_hit(modified(path)) == {"protected_path": DENY}


@pytest.mark.parametrize(
    "path", ["docs/.aicd.yml.md", ".github/ISSUE_TEMPLATE.md", "examples/.github/workflows/ci.yml", "ci.yml", "é.yml"]
)
def test_paths_that_only_resemble_protected_ones_are_free(path: str):
    assert rules_hit(modified(path)) == {}


@pytest.mark.parametrize(("old", "new"), [(".github/workflows/a.yml", "a.yml"), ("a.yml", ".github/workflows/a.yml")])
def test_either_name_of_a_rename_can_be_protected(old: str, new: str):
    renamed = FileChange(path=new, old_path=old, op=FileOp.RENAME)
    assert rules_hit(renamed) == {"protected_path": DENY}


def test_a_protected_path_says_why_and_what_to_do():
    (finding,) = findings_of(modified(".github/workflows/ci.yml"))
    assert finding.path == ".github/workflows/ci.yml"
    assert finding.message == (
        "This path is protected by the pattern `/.github/workflows`: it decides what runs in CI, and CI runs with the "
        "repository's secrets as soon as the branch is pushed, before anybody has reviewed it."
    )
    assert finding.remedy == "Leave the file as it is; a person makes such a change by hand."


def test_a_pattern_that_a_repository_adds_protects_too():
    rules = Rules(protected_paths=("migrations/**",))
    assert rules_hit(modified("migrations/0001.sql"), rules=rules) == {"protected_path": DENY}


@pytest.mark.parametrize(("files", "verdict"), [(2, None), (3, ASK), (20, ASK), (21, DENY)])
def test_many_files_ask_and_ten_times_as_many_are_denied(files: int, verdict: PolicyVerdict | None):
    hit = rules_hit(*(modified(f"f{n}") for n in range(files)), rules=Rules(max_files=2))
    assert hit == ({} if verdict is None else {"size": verdict})


@pytest.mark.parametrize(("added", "verdict"), [(100, None), (101, ASK), (1001, DENY)])
def test_added_lines_are_counted_over_all_files(added: int, verdict: PolicyVerdict | None):
    files = (modified("a", added_lines=60), modified("b", added_lines=added - 60))
    hit = rules_hit(*files, rules=Rules(max_added_lines=100))
    assert hit == ({} if verdict is None else {"size": verdict})


def test_a_large_file_is_named_with_its_size():
    (finding,) = findings_of(modified("big.csv", new_size=2_000_000))
    assert (finding.rule, finding.verdict, finding.path) == ("size", ASK, "big.csv")
    assert finding.message == "The file has 2,000,000 bytes, more than the 1,048,576 that pass unasked."


def test_a_path_outside_the_plan_is_denied_also_as_the_source_of_a_rename():
    renamed = FileChange(path="new.py", old_path="old.py", op=FileOp.RENAME)
    report = evaluate(change_of(renamed, modified("other.py")), plan_for("new.py"), GREEN, DEFAULT_RULES, {})
    assert [(f.rule, f.verdict, f.path) for f in report.findings] == [
        ("outside_plan", DENY, "old.py"),
        ("outside_plan", DENY, "other.py"),
    ]


def test_a_failed_command_asks_and_says_how_it_ended():
    tests = TestReport(
        setup=(CommandResult(command="make deps", exit_code=None, output="", duration=9, timed_out=True),),
        tests=(CommandResult(command="make `test`\n# \x1b[31m", exit_code=2, output="", duration=1),),
    )
    assert [finding.message for finding in findings_of(tests=tests)] == [
        "The set-up command `make deps` did not pass: timed out.",
        "The test command `make 'test' # [31m` did not pass: exit code 2.",
    ]


@pytest.mark.parametrize(
    "path",
    [
        *("test_a.py", "tests/test_a.py", "a/b_test.py", "tests/conftest.py", "app/tests.py", "src/a.test.tsx"),
        *("a.spec.js", "src/__tests__/a.ts", "pkg/a_test.go", "core/src/test/java/x/Helper.java", "x/FooTest.java"),
        *("FooIT.kt", "spec/models/a_spec.rb", "test/a_test.rb", "tests/it.rs", "tests/FooTest.php"),
    ],
)
def test_deleting_a_test_file_asks(path: str):
    assert rules_hit(FileChange(path=path, op=FileOp.DELETE)) == {"tests_deleted": ASK}


@pytest.mark.parametrize(
    "path", ["src/a.py", "contest.py", "latest.js", "x/Contest.java", "testing.go", "tests/x.json"]
)
def test_deleting_what_is_no_test_passes(path: str):
    assert rules_hit(FileChange(path=path, op=FileOp.DELETE)) == {}


def test_hollowing_out_a_test_file_or_moving_it_out_of_sight_asks():
    emptied = FileChange(path="test_a.py", op=FileOp.MODIFY, removed_lines=3, new_size=0)
    linked = FileChange(path="test_b.py", op=FileOp.MODIFY, old_mode="100644", new_mode="120000", new_size=5)
    moved = FileChange(path="node_modules/x/test_c.py", old_path="test_c.py", op=FileOp.RENAME)
    shortened = FileChange(path="test_d.py", op=FileOp.MODIFY, removed_lines=3, new_size=10)
    assert [finding.path for finding in findings_of(emptied, linked, moved, shortened)] == [
        "test_a.py",
        "test_b.py",
        "test_c.py",
    ]


def test_a_test_renamed_to_another_test_passes_and_to_something_else_asks():
    moved = FileChange(path="tests/test_b.py", old_path="tests/test_a.py", op=FileOp.RENAME)
    hidden = FileChange(path="tests/a.py.off", old_path="tests/test_a.py", op=FileOp.RENAME)
    assert findings_of(moved) == ()
    (finding,) = findings_of(hidden)
    assert (finding.rule, finding.path) == ("tests_deleted", "tests/test_a.py")
    assert "renamed to `tests/a.py.off`" in finding.message


@pytest.mark.parametrize("modes", [{"new_mode": "160000"}, {"old_mode": "160000"}])
def test_submodules_are_denied(modes: dict[str, str]):
    assert rules_hit(modified("vendor/lib", **modes)) == {"submodule": DENY}


def test_binary_files_ask_unless_they_are_deleted():
    assert rules_hit(modified("logo.png", binary=True)) == {"binary": ASK}
    assert rules_hit(FileChange(path="logo.png", op=FileOp.DELETE, binary=True)) == {}


def test_a_repository_can_make_a_rule_refuse():
    rules = Rules(verdicts=RuleVerdicts(tests_deleted=DENY))
    assert rules_hit(FileChange(path="test_a.py", op=FileOp.DELETE), rules=rules) == {"tests_deleted": DENY}


def test_the_strictest_finding_comes_first_and_decides():
    change = change_of(modified("a.png", binary=True), modified(".aicd.yml"))
    report = evaluate(change, plan_for(".aicd.yml", "a.png"), GREEN, DEFAULT_RULES, {})
    assert (report.verdict, [f.rule for f in report.findings]) == (DENY, ["protected_path", "binary"])


def test_a_rule_lists_at_most_so_many_findings_and_counts_the_rest():
    findings = findings_of(*(modified(f"{n:03}.png", binary=True) for n in range(MAX_FINDINGS_PER_RULE + 7)))
    assert len(findings) == MAX_FINDINGS_PER_RULE + 1
    assert findings[0].path == "000.png"
    assert (findings[-1].path, findings[-1].message) == (None, "Not listed one by one: 7 more of this rule.")


def test_every_rule_has_a_verdict_of_its_own():
    assert set(CHECKS) == set(RuleVerdicts.model_fields)


def test_a_secret_is_found_where_it_is_and_never_repeated():
    secret = "AKIA" + "Z7QX3N5V1K9RTB2M"
    patch = patch_creating("conf/a.py", "import os", f"KEY = '{secret}'  # {secret}")
    (finding,) = findings_of(modified("conf/a.py"), patch=patch)
    assert (finding.rule, finding.verdict, finding.path, finding.line) == ("secret", DENY, "conf/a.py", 2)
    assert finding.message == "This added line holds an AWS access key."
    assert secret not in finding.model_dump_json()


def test_a_change_measured_by_git_is_judged(tmp_path: Path):
    def git(*command: str) -> bytes:
        return subprocess.run(["git", "-C", tmp_path, *command], check=True, capture_output=True).stdout

    git("init", "-q")
    (tmp_path / "tëst.py").write_text("a = 1\n" * 30)
    (tmp_path / "gone.txt").write_text("token = " + "ghp_" + "a1B2c3D4" * 5 + "\n")
    git("add", ".")
    (tmp_path / "tëst.py").write_text("a = 1\n" * 30 + "key = " + repr("sk_live_" + "9aZ8bY7cX6dW5eV4fU3gT2hS") + "\n")
    (tmp_path / "gone.txt").unlink()
    (tmp_path / "logo.bin").write_bytes(bytes(range(256)) * 8)
    git("add", "-N", ".")
    patch = git("diff", "--binary", "--full-index")
    (finding,) = findings_of(modified("tëst.py"), patch=patch)
    assert (finding.rule, finding.path, finding.line) == ("secret", "tëst.py", 31)


FILES = st.builds(
    lambda n, op, name, more: FileChange(path=f"d{n}/{name}", op=op, **more),
    st.integers(0, 200),
    st.sampled_from([FileOp.CREATE, FileOp.MODIFY, FileOp.DELETE]),
    st.sampled_from(["a.py", "test_a.py", "Jenkinsfile", "x.png"]),
    st.fixed_dictionaries(
        {"binary": st.booleans(), "new_mode": st.sampled_from(["100644", "160000"]), "new_size": st.integers(0, 10**8)}
    ),
)
RESULTS = st.builds(
    lambda code: CommandResult(command=f"run {code}", exit_code=code, output="", duration=0), st.integers(0, 2)
)
ORDER = {ALLOW: 0, ASK: 1, DENY: 2}


@given(st.lists(FILES, max_size=8), FILES, st.lists(RESULTS, max_size=3), RESULTS)
def test_one_more_thing_to_object_to_never_lowers_the_verdict(
    files: list[FileChange], extra: FileChange, results: list[CommandResult], result: CommandResult
):
    plan = plan_for(*(file.path for file in files[::2]))
    less = evaluate(change_of(*files), plan, TestReport(tests=tuple(results)), DEFAULT_RULES, {})
    more = evaluate(change_of(*files, extra), plan, TestReport(tests=(*results, result)), DEFAULT_RULES, {})
    assert ORDER[more.verdict] >= ORDER[less.verdict]
    assert set(less.findings) <= set(more.findings)


@given(st.data())
def test_the_order_of_the_files_does_not_matter(data: st.DataObject):
    files = data.draw(st.lists(FILES, max_size=70))
    shuffled = data.draw(st.permutations(files))
    plan = plan_for(*(file.path for file in files[::3]))
    reports = [evaluate(change_of(*order), plan, GREEN, DEFAULT_RULES, {}) for order in (files, shuffled, files)]
    assert reports[0] == reports[1] == reports[2]


@given(st.lists(FILES, max_size=70))
def test_the_verdict_is_that_of_the_strictest_finding(files: list[FileChange]):
    report = evaluate(change_of(*files), plan_for(), GREEN, DEFAULT_RULES, {})
    assert ORDER[report.verdict] == max((ORDER[f.verdict] for f in report.findings), default=0)
    assert [ORDER[f.verdict] for f in report.findings] == sorted(ORDER[f.verdict] for f in report.findings)[::-1]

"""`aicd policy test` as a process, on real histories, hostile ones among them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aicd_core.errors import StepFailedError
from aicd_core.policy import require_own_branch
from histories import git

AICD = Path(sys.executable).with_name("aicd")
TEST = "def test_sum():\n    assert sum([1, 2]) == 3\n"


def past(repo: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(AICD), "policy", "test", "--repo", str(repo), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(repo.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def commit(root: Path, message: str, **files: str) -> None:
    for name, content in files.items():
        (root / name.replace("__", ".")).write_text(content)
    git(root, "add", "-A")
    git(root, "commit", "-qm", message)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    commit(root, "Begin", test_sum__py=TEST, a__txt="a\n")
    return root


def test_each_commit_has_its_verdict_author_subject_and_findings(repo: Path):
    commit(repo, "Weaken", test_sum__py=TEST.replace(" == 3", ""))
    commit(repo, "Grow", a__txt="a\nb\n")
    done = past(repo, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    rows = [(row["subject"], row["verdict"]) for row in found["commits"]]
    assert rows == [("Grow", "allow"), ("Weaken", "ask"), ("Begin", "allow")]
    (finding,) = found["commits"][1]["findings"]
    assert (finding["rule"], finding["path"], finding["line"]) == ("tests_weakened", "test_sum.py", 2)
    assert found["counts"] == {"allow": 2, "ask": 1, "deny": 0, "unjudged": 0}
    assert len(json.loads(past(repo, "--json", "--last", "1").stdout)["commits"]) == 1
    told = past(repo).stdout
    assert "ask tests_weakened test_sum.py:2: In 'test_sum'" in told
    assert told.endswith("3 commits: 2 allow, 1 ask\n")


def test_a_commit_is_judged_by_the_configuration_before_it(repo: Path):
    config = repo / ".aicd.yml"
    config.write_text("policy:\n  rules:\n    tests_weakened: deny\n")
    commit(repo, "Tighten")
    config.unlink()
    commit(repo, "Weaken and loosen", test_sum__py=TEST.replace(" == 3", ""))
    newest = json.loads(past(repo, "--json", "--last", "1").stdout)["commits"][0]
    assert {f["rule"]: f["verdict"] for f in newest["findings"]} == {
        "protected_path": "deny",
        "tests_weakened": "deny",
    }


def test_rules_of_an_organisation_can_be_tried(repo: Path, tmp_path: Path):
    rules = tmp_path / "rules.json"
    rules.write_text('{"max_files": 1}')
    assert json.loads(past(repo, "--json", "--rules", str(rules)).stdout)["counts"]["ask"] == 1
    rules.write_text('{"max_file": 1}')
    refused = past(repo, "--rules", str(rules))
    assert refused.returncode == 2
    assert "max_file" in refused.stderr


def test_nothing_that_the_repository_configures_is_run_and_no_attribute_hides_a_file(repo: Path, tmp_path: Path):
    trap = tmp_path / "trapped"
    command = f"touch {trap}; cat"
    for name in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command", "core.sshCommand"):
        git(repo, "config", name, command)
    (repo / ".gitattributes").write_text("*.py diff=evil\n*.txt -diff\n")
    (repo / ".git" / "info" / "attributes").write_text("*.py -diff\n")
    commit(repo, "Weaken", test_sum__py=TEST.replace(" == 3", ""))
    trap.unlink(missing_ok=True)  # git's own commands above may have run it
    newest = json.loads(past(repo, "--json", "--last", "1").stdout)["commits"][0]
    assert [finding["rule"] for finding in newest["findings"]] == ["tests_weakened"]
    assert not trap.exists()


def test_an_empty_repository_and_a_folder_that_is_none_are_told_apart(tmp_path: Path):
    assert "is not in a git repository" in past(tmp_path).stderr
    git(tmp_path, "init", "-q")
    done = past(tmp_path)
    assert done.returncode == 2
    assert "has no commit yet" in done.stderr


@pytest.mark.parametrize(
    ("branch", "base"), [("main", None), ("aicd", None), ("refs/heads/main", None), ("aicd/1", "aicd/1")]
)
def test_only_a_branch_of_a_job_may_be_pushed(branch: str, base: str | None):
    with pytest.raises(StepFailedError, match="only branches below aicd/ are pushed"):
        require_own_branch(branch, base)
    require_own_branch("aicd/1", "main")

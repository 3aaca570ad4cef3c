"""What `aicd run` refuses, and what fails, each with its reason and its exit code."""

import json
from pathlib import Path

import pytest

from histories import git
from shops import ISSUE, Shop, issue_with, shop

__all__ = ["shop"]


def test_without_a_sandbox_nothing_is_run(shop: Shop, tmp_path: Path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").symlink_to("/usr/bin/git")
    done = shop.run("run", "--issue", ISSUE, "--json", env={"PATH": str(tools)})
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "sandbox_unavailable"
    assert "bubblewrap" in done.stderr


BAD_DIFFS = {
    "no_usable_diff": ("Only words.\n", "diff"),
    "patch_does_not_apply": (
        issue_with("--- a/greet.txt\n+++ b/greet.txt\n@@ -1 +1 @@\n-good bye\n+hello\n"),
        "hunk 1",
    ),
    "binary_patch": (
        issue_with(
            "diff --git a/x.bin b/x.bin\nnew file mode 100644\nindex 0000000..1111111\n"
            "GIT binary patch\nliteral 0\nHcmV?d00001\n\n"
        ),
        "binary",
    ),
    "path_escapes": (issue_with("--- /dev/null\n+++ b/../up.txt\n@@ -0,0 +1 @@\n+x\n"), "../up.txt"),
}


@pytest.mark.parametrize("code", BAD_DIFFS)
def test_an_issue_that_cannot_be_carried_out_fails_the_job_with_a_reason(shop: Shop, code: str):
    text, says = BAD_DIFFS[code]
    done = shop.run("run", "--issue-file", shop.issue(text), "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["state"], found["code"]) == (3, "failed", code)
    assert says in found["reason"]


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", ".git/config", "sub/.git/config", "../../x", "link/x"],
    ids=lambda path: path.replace("/", "_"),
)
def test_no_path_of_a_diff_leads_out_of_the_tree(shop: Shop, path: str):
    (shop.source / "link").symlink_to("/tmp")
    git(shop.source, "add", ".")
    git(shop.source, "commit", "-qm", "A link")
    diff = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
    done = shop.run("run", "--issue-file", shop.issue(issue_with(diff)), "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (3, "path_escapes")


def test_a_protected_path_is_denied_with_its_own_exit_code(shop: Shop):
    diff = "--- /dev/null\n+++ b/.github/workflows/x.yml\n@@ -0,0 +1 @@\n+on: push\n"
    done = shop.run("run", "--issue-file", shop.issue(issue_with(diff)), "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["code"], found["policy"]["verdict"]) == (4, "policy_denied", "deny")
    assert [finding["path"] for finding in found["policy"]["findings"]] == [".github/workflows/x.yml"]


def test_unusable_issues_are_refused_before_a_job_is_made(shop: Shop, tmp_path: Path):
    big = tmp_path / "big.md"
    with big.open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    for arguments, says in (
        (("--issue-file", str(big)), "52,428,800 bytes"),
        (("--issue-file", shop.issue(b"Title\nbad \xff byte\n")), "line 2"),
        (("--issue-file", str(tmp_path / "missing.md")), "cannot be read"),
        (("--issue", "  \n \n"), "empty"),
        ((), "--issue"),
        (("--issue", "x", "--issue-file", str(big)), "exactly one"),
        (("--issue", ISSUE, "--yes", "--detach"), "aicd approve"),
        (("--issue", ISSUE, "--agent", "nobody"), "dummy"),
        (("--issue", ISSUE, "--base", "nowhere"), "nowhere"),
    ):
        done = shop.run("run", *arguments, "--json")
        assert done.returncode == 2, (arguments, done.stderr)
        assert says in done.stderr
        assert json.loads(done.stdout)["job_id"] is None
        assert "Traceback" not in done.stderr
    usage = shop.run("run", "--json", "--time-limit", "0", "--issue", ISSUE)
    assert (usage.returncode, json.loads(usage.stdout)["code"]) == (2, "usage")
    setting = shop.run("run", "--json", "--issue", ISSUE, env={"AICD_MAX_ROUNDS": "many"})
    assert (setting.returncode, json.loads(setting.stdout)["code"]) == (2, "bad_setting")
    assert "AICD_MAX_ROUNDS" in setting.stderr
    assert json.loads(shop.run("jobs", "--json").stdout) == {"jobs": [], "next_cursor": None}


def test_unusable_repositories_are_refused_with_a_sentence(shop: Shop, tmp_path: Path):
    plain, empty, detached = tmp_path / "plain", tmp_path / "empty", tmp_path / "detached"
    plain.mkdir()
    empty.mkdir()
    git(empty, "init", "-q")
    git(tmp_path, "clone", "-q", str(shop.source), str(detached))
    git(detached, "checkout", "-q", "--detach")
    for repo, says in (
        (plain, "not in a git repository"),
        (tmp_path / "nowhere", "does not exist"),
        (empty, "commit"),
        (detached, "--base"),
    ):
        done = shop.run("run", "--issue", ISSUE, repo=str(repo))
        assert done.returncode == 2, done.stderr
        assert says in done.stderr


def test_a_full_disk_and_an_unwritable_data_directory_are_told_apart(shop: Shop, tmp_path: Path):
    full = shop.run("run", "--issue", ISSUE, "--json", env={"AICD_MIN_FREE_DISK": str(10**15)})
    assert (full.returncode, json.loads(full.stdout)["code"]) == (1, "no_disk_space")
    (tmp_path / "file").write_text("in the way")
    shop.data = tmp_path / "file" / "data"
    unwritable = shop.run("run", "--issue", ISSUE, "--json")
    assert (unwritable.returncode, json.loads(unwritable.stdout)["code"]) == (2, "data_dir_unwritable")


def test_a_broken_repository_is_told_in_gits_own_words(shop: Shop):
    with (shop.source / ".git" / "config").open("a") as config:
        config.write("[bad")
    done = shop.run("run", "--issue", ISSUE)
    assert done.returncode == 2
    assert "bad config" in done.stderr

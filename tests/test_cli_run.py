"""`aicd run` as a person or a script meets it: the real process, its output and its exit code."""

import json
import re
import subprocess
from pathlib import Path
from uuid import UUID

from histories import git
from shops import ISSUE, Shop, shop

__all__ = ["shop"]


def test_stdout_is_exactly_one_json_object_and_logs_go_to_stderr(shop: Shop):
    done = shop.run("run", "--issue", ISSUE, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["state"] == "pr_open"
    assert found["branch"] == f"aicd/{UUID(found['job_id'])}"
    assert found["base_sha"] == git(shop.source, "rev-parse", "main").decode().strip()
    assert found["head_sha"] == git(shop.source, "rev-parse", found["branch"]).decode().strip()
    assert found["pull_request"]["number"] == 1
    assert found["pull_request"]["draft"] is False
    assert found["policy"] == {"verdict": "allow", "findings": []}
    assert found["rounds"] == 1
    assert found["plan"]["steps"][0]["files"] == [{"path": "greet.txt", "op": "modify"}]
    assert found["usage"] == {
        "input_tokens": 0,
        "cached_input_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 0,
        "cost_usd": 0.0,
    }
    assert found["duration_s"] > 0
    assert "coding" in done.stderr


def test_a_pipe_gets_plain_lines_and_where_to_look(shop: Shop):
    done = shop.run("run", "--issue-file", shop.issue(ISSUE))
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    for state in ("planning", "coding (round 1)", "reviewing (round 1)", "pr_open"):
        assert re.search(rf"^\[ +\d+\.\d\d\] {re.escape(state)}$", done.stdout, re.MULTILINE)
    assert "git diff main...aicd/" in done.stdout


def test_the_issue_is_read_from_standard_input(shop: Shop):
    done = shop.run("run", "--issue-file", "-", "--json", input=ISSUE)
    assert json.loads(done.stdout)["state"] == "pr_open"


def test_bare_and_shallow_repositories_work(shop: Shop, tmp_path: Path):
    bare, shallow = tmp_path / "bare.git", tmp_path / "shallow"
    git(shop.source, "commit", "-q", "--allow-empty", "-m", "More")
    git(tmp_path, "clone", "-q", "--bare", str(shop.source), str(bare))
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{shop.source}", str(shallow))
    for repo in (bare, shallow):
        done = shop.run("run", "--issue", ISSUE, "--json", repo=str(repo))
        assert done.returncode == 0, done.stderr
        branch = json.loads(done.stdout)["branch"]
        assert git(repo, "show", f"{branch}:greet.txt") == b"hello world\n"


def test_uncommitted_changes_are_noted_and_left_alone(shop: Shop):
    (shop.source / "greet.txt").write_text("stashed by hand\n")
    git(shop.source, "stash")
    (shop.source / "greet.txt").write_text("changed by hand\n")
    (shop.source / "untracked.txt").write_text("mine\n")
    before = shop.fingerprint()
    done = shop.run("run", "--issue", ISSUE, "--json")
    assert done.returncode == 0, done.stderr
    assert "2 uncommitted changes" in done.stderr
    assert shop.fingerprint() == before


def test_a_plan_that_needs_approval_waits_and_goes_on_with_yes(shop: Shop):
    (shop.source / ".aicd.yml").write_text("version: 1\ntests: []\nplan_approval: always\n")
    git(shop.source, "commit", "-qam", "Ask first")
    waiting = shop.run("run", "--issue", ISSUE, "--json")
    assert (waiting.returncode, json.loads(waiting.stdout)["state"]) == (5, "awaiting_approval")
    told = shop.run("run", "--issue", ISSUE)
    assert f"aicd approve {json.loads(waiting.stdout)['job_id']} --data-dir {shop.data}" in told.stdout
    done = shop.run("run", "--issue", ISSUE, "--json", "--yes")
    assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "pr_open")
    assert json.loads(done.stdout)["job_id"] == json.loads(waiting.stdout)["job_id"]


def test_new_starts_again_where_a_second_run_would_find_the_first(shop: Shop):
    first, same, anew = (
        json.loads(shop.run("run", "--issue", ISSUE, "--json", *more).stdout) for more in ((), (), ("--new",))
    )
    assert same["job_id"] == first["job_id"]
    assert anew["job_id"] != first["job_id"]
    assert anew["pull_request"]["number"] == 2


def test_two_runs_at_once_both_end_right(shop: Shop):
    issues = [ISSUE, ISSUE.replace("world", "there world")]
    processes = [
        subprocess.Popen(shop.command("run", "--issue", text, "--json"), env=shop.environment(), stdout=subprocess.PIPE)
        for text in (*issues, issues[0])
    ]
    found = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert found[0]["job_id"] == found[2]["job_id"] != found[1]["job_id"]
    assert {found[0]["pull_request"]["number"], found[1]["pull_request"]["number"]} == {1, 2}


def test_no_locale_changes_the_outcome(shop: Shop):
    narrow = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shop.run("run", "--issue-file", shop.issue(ISSUE.replace("world", "größe ✓", 1)), "--json", env=narrow)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "pr_open"
    assert shop.run("jobs", env=narrow).returncode == 0

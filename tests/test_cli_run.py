"""`aicd run` as a person or a script meets it: the real process, its output and its exit code."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from aicd_core.testing.databases import TestUrls
from aicd_core.testing.redis import redis_server
from histories import git

AICD = Path(sys.executable).with_name("aicd")
SECONDS = 10_000 + os.getpid() % 50_000
"""How long the endless tests sleep; another number in each test process, so that its own sleeps can be told."""
ISSUE = "Greet the world\n\n```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1 +1 @@\n-hello\n+hello world\n```\n"


@dataclass
class Shop:
    """A source repository and a data directory, and the way to run `aicd` on them."""

    source: Path
    data: Path
    urls: TestUrls

    def command(self, *arguments: str, repo: str | None = None) -> list[str]:
        where = ("--repo", repo or str(self.source)) if arguments[0] == "run" else ()
        return [str(AICD), *arguments, *where, "--data-dir", str(self.data)]

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.data.parent),
            "AICD_DATABASE_URL": self.urls.app,
            "AICD_SYSTEM_DATABASE_URL": self.urls.system,
        }

    def run(self, *arguments: str, repo: str | None = None, **options) -> subprocess.CompletedProcess[str]:
        environment = self.environment() | options.pop("env", {})
        return subprocess.run(
            self.command(*arguments, repo=repo), env=environment, capture_output=True, text=True, timeout=120, **options
        )

    def issue(self, text: str | bytes) -> str:
        path = self.data.parent / "issue.md"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def fingerprint(self) -> dict[str, bytes]:
        """Everything of the user's that a job must not touch."""
        return {
            str(path.relative_to(self.source)): path.read_bytes()
            for path in sorted(self.source.rglob("*"))
            if path.is_file() and not re.search(r"/objects/|/refs/heads/aicd/", str(path))
        }


@pytest.fixture
def shop(tmp_path: Path, database_urls: TestUrls) -> Shop:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q")
    (source / ".aicd.yml").write_text("version: 1\ntests: ['grep -q world greet.txt']\n")
    (source / "greet.txt").write_text("hello\n")
    git(source, "add", ".")
    git(source, "commit", "-qm", "Begin")
    return Shop(source, tmp_path / "data", database_urls)


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


def test_jobs_and_show_tell_the_story(shop: Shop):
    job = json.loads(shop.run("run", "--issue", ISSUE, "--json").stdout)["job_id"]
    assert re.search(rf"^{job}  pr_open .*Greet the world$", shop.run("jobs").stdout, re.MULTILINE)
    assert [row["job_id"] for row in json.loads(shop.run("jobs", "--json").stdout)["jobs"]] == [job]
    assert shop.run("jobs", "--state", "failed").stdout.startswith("No failed job")
    unknown = shop.run("jobs", "--state", "bogus")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("aicd: 'bogus' is no state of a job. There are: queued, planning,")
    story = shop.run("show", job).stdout
    for part in ("History", "Plan", "modify greet.txt", "Tests", "Policy: allow", "Review of round 1: approve"):
        assert part in story
    assert json.loads(shop.run("show", job, "--json").stdout)["job_id"] == job


def test_unknown_jobs_are_refused(shop: Shop):
    missing = shop.run("show", "01a20a19-b883-7345-9527-cba0433a3c7f")
    assert (missing.returncode, "There is no job" in missing.stderr) == (2, True)
    assert shop.run("show", "nonsense").returncode == 2


def test_doctor_finds_everything_in_order(shop: Shop):
    done = shop.run("doctor", "--json")
    assert done.returncode == 0, done.stdout
    assert {check["name"] for check in json.loads(done.stdout)["checks"]} >= {"git", "sandbox", "database", "agents"}


def test_doctor_reaches_the_redis_that_is_set_or_says_what_to_do(shop: Shop, tmp_path: Path):
    def queue(url: str) -> tuple[int, str]:
        done = shop.run("doctor", env={"AICD_REDIS_URL": url})
        return done.returncode, next(line for line in done.stdout.splitlines() if "queue: " in line)

    with redis_server(tmp_path / "redis") as redis:
        code, line = queue(redis.url)
        assert (code, bool(re.match(r"ok   queue: Redis \d", line))) == (0, True), line
    code, line = queue(redis.url)
    assert (code, line.startswith("BAD  queue: Redis did not answer"), "AICD_REDIS_URL" in line) == (1, True, True), (
        line
    )


def test_the_version_is_told():
    told = subprocess.run([str(AICD), "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout == f"aicd {version('aicd-cli')}\n"


def test_doctor_says_what_is_missing(shop: Shop, tmp_path: Path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").symlink_to("/usr/bin/git")
    done = shop.run("doctor", env={"PATH": str(tools)})
    assert done.returncode == 1
    assert re.search(r"^BAD  sandbox: .*bubblewrap", done.stdout, re.MULTILINE)
    assert re.search(r"^ok   git", done.stdout, re.MULTILINE)


def test_without_a_sandbox_nothing_is_run(shop: Shop, tmp_path: Path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").symlink_to("/usr/bin/git")
    done = shop.run("run", "--issue", ISSUE, "--json", env={"PATH": str(tools)})
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "sandbox_unavailable"
    assert "bubblewrap" in done.stderr


@pytest.mark.parametrize("command", ["run", "jobs", "show", "doctor", "demo", "org", "policy", "github", "keys"])
def test_every_command_has_help_with_an_example(shop: Shop, command: str):
    done = subprocess.run([str(AICD), command, "--help"], capture_output=True, text=True, env=shop.environment())
    assert done.returncode == 0
    assert re.search(rf"Example:  (AICD_\S+ )?aicd {command}", done.stdout), done.stdout


def issue_with(diff: str) -> str:
    return f"Title\n\n```diff\n{diff}```\n"


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


def test_a_full_disk_and_an_unwritable_data_directory_are_told_apart(shop: Shop, tmp_path: Path):
    full = shop.run("run", "--issue", ISSUE, "--json", env={"AICD_MIN_FREE_DISK": str(10**15)})
    assert (full.returncode, json.loads(full.stdout)["code"]) == (1, "no_disk_space")
    (tmp_path / "file").write_text("in the way")
    shop.data = tmp_path / "file" / "data"
    unwritable = shop.run("run", "--issue", ISSUE, "--json")
    assert (unwritable.returncode, json.loads(unwritable.stdout)["code"]) == (2, "data_dir_unwritable")


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


def slow(shop: Shop, seconds: int = SECONDS) -> None:
    (shop.source / ".aicd.yml").write_text(f"version: 1\ntests: ['sleep {seconds} & sleep {seconds}']\n")
    git(shop.source, "commit", "-qam", "Slow tests")


def start_and_wait_for(shop: Shop, line: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        shop.command("run", "--issue", ISSUE, "--json"),
        env=shop.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while line not in (said := process.stderr.readline()):
        assert said, "the process ended before it came to the line"
    return process


def sleepers() -> set[str]:
    found = subprocess.run(["pgrep", "-f", f"^sleep {SECONDS}"], capture_output=True, text=True)
    return set(found.stdout.split())


def test_ctrl_c_cancels_the_job_and_ends_everything_it_started(shop: Shop):
    slow(shop)
    before, others = shop.fingerprint(), sleepers()
    process = start_and_wait_for(shop, "$ sleep")
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=20)
    found = json.loads(stdout)
    assert (process.returncode, found["state"]) == (130, "cancelled")
    assert found["reason"] == "Stopped by the person who ran it."
    assert sleepers() <= others
    assert shop.fingerprint() == before
    assert b"aicd/" not in git(shop.source, "branch", "--all")
    assert list((shop.data / "jobs").iterdir()) == []


@pytest.mark.parametrize("line", ["planning", "coding", "$ sleep"])
def test_after_a_kill_the_same_command_goes_on_with_the_same_job(shop: Shop, line: str):
    slow(shop)
    before, others = shop.fingerprint(), sleepers()
    process = start_and_wait_for(shop, line)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while not sleepers() <= others and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sleepers() <= others
    assert shop.fingerprint() == before
    (killed,) = json.loads(shop.run("jobs", "--json").stdout)["jobs"]
    again = start_and_wait_for(shop, "$ sleep")
    again.send_signal(signal.SIGTERM)
    found = json.loads(again.communicate(timeout=20)[0])
    assert (found["job_id"], found["state"]) == (killed["job_id"], "cancelled")


def test_a_reader_that_goes_away_does_not_end_the_job(shop: Shop):
    command = " ".join(shlex.quote(word) for word in shop.command("run", "--issue", ISSUE))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"], env=shop.environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(shop.run("jobs", "--json").stdout)["jobs"][0]["state"] == "pr_open"


def test_an_error_in_the_middle_of_a_job_names_it(shop: Shop):
    slow(shop, seconds=6)
    process = start_and_wait_for(shop, "$ sleep")
    with psycopg.connect(shop.urls.admin, autocommit=True) as connection:
        connection.execute("ALTER TABLE jobs RENAME TO hidden")
        stdout, stderr = process.communicate(timeout=60)
        connection.execute("ALTER TABLE hidden RENAME TO jobs")
    found = json.loads(stdout)
    assert (process.returncode, found["state"]) == (1, None)
    assert UUID(found["job_id"])
    assert "resumed" in stderr


def test_what_blocks_before_the_work_begins_is_ended_by_ctrl_c(shop: Shop):
    command = shop.command("run", "--issue-file", "-", "--json")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=shop.environment(), text=True, **pipes)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.returncode == 130
    process.communicate()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_while_the_program_loads_is_a_sentence_and_an_object(shop: Shop, sign: signal.Signals):
    process = subprocess.Popen(
        shop.command("run", "--issue", ISSUE, "--json"),
        env=shop.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "pydantic_core" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.001)  # one of the libraries that take long to load
    process.send_signal(sign)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert json.loads(stdout)["code"] == "cancelled"


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "<&-"])
def test_a_stream_that_cannot_be_written_changes_nothing(shop: Shop, closed: str):
    command = " ".join(shlex.quote(word) for word in shop.command("run", "--issue", ISSUE, "--json"))
    done = subprocess.run(
        ["bash", "-c", f"{command} {closed}"], env=shop.environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["state"] == "pr_open"


def test_no_locale_changes_the_outcome(shop: Shop):
    narrow = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shop.run("run", "--issue-file", shop.issue(ISSUE.replace("world", "größe ✓", 1)), "--json", env=narrow)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "pr_open"
    assert shop.run("jobs", env=narrow).returncode == 0


def test_a_broken_repository_is_told_in_gits_own_words(shop: Shop):
    with (shop.source / ".git" / "config").open("a") as config:
        config.write("[bad")
    done = shop.run("run", "--issue", ISSUE)
    assert done.returncode == 2
    assert "bad config" in done.stderr


def test_the_persons_own_postgres_settings_do_not_reach_the_embedded_server(shop: Shop):
    environment = shop.environment() | {"PGPORT": "1", "PGHOSTADDR": "127.0.0.1", "PGOPTIONS": "-c nonsense=1"}
    del environment["AICD_DATABASE_URL"], environment["AICD_SYSTEM_DATABASE_URL"]
    done = subprocess.run(shop.command("jobs"), env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")

"""`aicd eval` as a person or a script meets it: the real process, orchestrator, git and sandbox."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from aicd_core.testing.databases import TestUrls
from aicd_core.testing.plugins import offer_agent

AICD = Path(sys.executable).with_name("aicd")
OURS = Path(__file__).parents[1] / "evals" / "tasks"
GREET = "--- a/greet.txt\n+++ b/greet.txt\n@@ -1 +1 @@\n-hello\n+hello world\n"


@dataclass
class Bench:
    """A place for tasks and results, and the way to run `aicd eval` there."""

    place: Path
    urls: TestUrls

    def run(self, tasks: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment() | variables
        command = self.command(tasks, *arguments)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)

    def command(self, tasks: Path, *arguments: str) -> list[str]:
        places = ("--data-dir", str(self.place / "data"), "--output", str(self.place / "out"))
        return [str(AICD), "eval", str(tasks), *places, *arguments]

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.place),
            "AICD_DATABASE_URL": self.urls.app,
            "AICD_SYSTEM_DATABASE_URL": self.urls.system,
        }

    def start(self, tasks: Path, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(tasks, *arguments),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def task(self, name: str, *, solution: str = GREET, test: str = "grep -q world greet.txt", more: str = "") -> Path:
        place = self.place / "tasks" / name
        for folder in ("repository", "hidden"):
            (place / folder).mkdir(parents=True)
        (place / "task.toml").write_text(f"tests = [{json.dumps(test)}]\n{more}")
        (place / "issue.md").write_text("Greet the world\n")
        (place / "repository" / "greet.txt").write_text("hello\n")
        (place / "repository" / ".aicd.yml").write_text("version: 1\ntests: []\n")
        (place / "solution.diff").write_text(solution)
        return self.place / "tasks"

    def results(self) -> dict[str, dict]:
        found = json.loads((self.place / "out" / "results.json").read_text())
        return {one["id"]: one for one in found["results"]}


@pytest.fixture
def bench(tmp_path: Path, database_urls: TestUrls) -> Bench:
    return Bench(tmp_path, database_urls)


def git(place: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=place, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_our_own_tasks_are_resolved_by_their_solutions(bench: Bench):
    done = bench.run(OURS, "--with-solutions", "--json", "--at-least", "1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    outcomes = {one["id"]: one["outcome"] for one in found["results"]}
    assert len(outcomes) == 10
    assert set(outcomes.values()) <= {"resolved", "skipped"}, outcomes
    for one in found["results"]:
        if one["outcome"] == "skipped":
            assert one["reason"].startswith("The sandbox has no ")
    assert found["totals"]["resolved"] >= 6


def test_without_their_solutions_the_dummy_resolves_none_and_says_why(bench: Bench):
    tasks = bench.task("greeting")
    done = bench.run(tasks, "--at-least", "0.5")
    assert done.returncode == 3
    one = bench.results()["greeting"]
    assert (one["outcome"], one["state"]) == ("no_pull_request", "failed")
    assert "diff" in one["reason"]
    assert "0.0 % resolved (0 of 1)" in done.stdout


def test_hidden_tests_decide_and_the_agent_cannot_change_them(bench: Bench):
    forged = GREET + "--- /dev/null\n+++ b/check.sh\n@@ -0,0 +1 @@\n+exit 0\n"
    tasks = bench.task("forged", solution=forged, test="sh check.sh")
    (tasks / "forged" / "hidden" / "check.sh").write_text("grep -q moon greet.txt\n")
    bench.task("honest")
    assert bench.run(tasks, "--with-solutions").returncode == 0
    found = bench.results()
    assert {name: one["outcome"] for name, one in found.items()} == {"forged": "unresolved", "honest": "resolved"}
    assert found["forged"]["tests"][0]["outcome"] == "exit code 1"


def test_a_task_whose_program_is_missing_is_skipped_and_one_that_is_broken_stops_no_other(bench: Bench):
    tasks = bench.task("lisp", more='needs = ["no-such-lisp"]\n')
    bench.task("based", more='repository = "bundle"\nbase = "no-such-branch"\n')
    (tasks / "based" / "bundle").write_text("no bundle")
    bench.task("works")
    done = bench.run(tasks, "--with-solutions")
    assert done.returncode == 0, done.stderr
    found = bench.results()
    assert {name: one["outcome"] for name, one in found.items()} == {
        "lisp": "skipped",
        "based": "error",
        "works": "resolved",
    }
    assert found["lisp"]["reason"] == "The sandbox has no no-such-lisp."
    assert "bundle" in found["based"]["reason"]


def test_a_repository_is_a_bundle_or_a_clone_at_a_base_and_later_commits_are_not_in_reach(bench: Bench):
    origin = bench.place / "origin"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "trunk")
    (origin / "greet.txt").write_text("hello\n")
    (origin / ".aicd.yml").write_text("version: 1\ntests: []\n")
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "Begin")
    base = git(origin, "rev-parse", "HEAD")
    (origin / "greet.txt").write_text("hello world\n")
    git(origin, "commit", "-qam", "The solution")
    git(origin, "bundle", "create", "-q", str(bench.place / "all.bundle"), "--all")
    tasks = bench.task("bundle", more=f'repository = "../../all.bundle"\nbase = "{base}"\n')
    bench.task("clone", more=f'repository = "../../origin"\nbase = "{base}"\n')
    done = bench.run(tasks, "--with-solutions", "--at-least", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(origin, "rev-parse", "HEAD~1") == base


def test_a_swe_bench_file_is_judged_by_its_test_patch_and_gives_predictions(bench: Bench):
    clone = bench.place / "clones" / "acme__greet"
    clone.mkdir(parents=True)
    git(clone, "init", "-q")
    (clone / "greet.txt").write_text("hello\n")
    (clone / "check.sh").write_text("true\n")
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "Begin")
    test_patch = '--- a/check.sh\n+++ b/check.sh\n@@ -1 +1 @@\n-true\n+grep -q world greet.txt && echo "$1"\n'
    instance = {
        "instance_id": "acme__greet-1",
        "repo": "acme/greet",
        "base_commit": git(clone, "rev-parse", "HEAD"),
        "problem_statement": "Greet the world",
        "patch": GREET,
        "test_patch": test_patch,
        "FAIL_TO_PASS": '["one"]',
        "PASS_TO_PASS": "[]",
    }
    (bench.place / "lite.jsonl").write_text(json.dumps(instance) + "\n")
    arguments = ("--repositories", str(bench.place / "clones"), "--with-solutions")
    done = bench.run(bench.place / "lite.jsonl", *arguments, "--test-command", "sh check.sh {tests}")
    assert done.returncode == 0, done.stderr
    one = bench.results()["acme__greet-1"]
    assert (one["outcome"], one["tests"][0]["command"]) == ("resolved", "sh check.sh one")
    [line] = (bench.place / "out" / "predictions.jsonl").read_text().splitlines()
    prediction = json.loads(line)
    assert (prediction["instance_id"], prediction["model_name_or_path"]) == ("acme__greet-1", "dummy")
    (clone / "p.diff").write_text(prediction["model_patch"])
    git(clone, "apply", "p.diff")
    assert (clone / "greet.txt").read_text() == "hello world\n"
    assert bench.run(bench.place / "lite.jsonl", *arguments).returncode == 0
    assert bench.results()["acme__greet-1"]["outcome"] == "unjudged"


def test_a_run_that_is_stopped_cancels_its_job_and_keeps_what_was_measured(bench: Bench):
    bench.task("a-first")
    tasks = bench.task("b-endless")
    (tasks / "b-endless" / "repository" / ".aicd.yml").write_text("version: 1\ntests: ['touch begun; sleep 3000']\n")
    process = bench.start(tasks, "--with-solutions")
    deadline = time.monotonic() + 120
    while not list((bench.place / "data").glob("jobs/*/tree/begun")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert {name: one["outcome"] for name, one in bench.results().items()} == {"a-first": "resolved"}
    jobs = subprocess.run(
        [AICD, "jobs", "--json", "--data-dir", bench.place / "data"],
        env=bench.environment(),
        capture_output=True,
        text=True,
    )
    assert sorted(job["state"] for job in json.loads(jobs.stdout)["jobs"]) == ["cancelled", "pr_open"]


FINDER = """
from aicd_brain.retrieval.retriever import IndexedSearch
from aicd_core.agents.dummy import DummyAgent
from aicd_core.errors import StepFailedError

class Finder(DummyAgent):
    async def plan(self, task, errors, workspace, session):
        tree = await IndexedSearch(session).at(workspace)
        found = [hit.path for hit in await tree.find("hello")]
        if found != ["greet.txt"] or not (await tree.outline("hello", 100)).startswith("greet.txt"):
            raise StepFailedError(f"found {found}")
        return await super().plan(task, errors, workspace, session)
"""


def test_an_agent_that_searches_its_tree_does_so_in_a_whole_job_and_leaves_an_index_behind(bench: Bench):
    (bench.place / "finder.py").write_text(FINDER)
    plugins = offer_agent(bench.place, "finder", "finder:Finder")
    done = bench.run(bench.task("greeting"), "--with-solutions", "--agent", "finder", PYTHONPATH=plugins)
    assert done.returncode == 0, done.stderr
    assert bench.results()["greeting"]["outcome"] == "resolved", bench.results()
    [index] = (bench.place / "data" / "agents").glob("*/*/retrieval/lexical/meta.json")
    assert index.stat().st_size > 0


def test_a_run_is_compared_with_an_earlier_one(bench: Bench):
    tasks = bench.task("greeting")
    assert bench.run(tasks).returncode == 0
    (bench.place / "out" / "results.json").rename(bench.place / "earlier.json")
    done = bench.run(tasks, "--with-solutions", "--compare", str(bench.place / "earlier.json"), "--json")
    comparison = json.loads(done.stdout)["comparison"]
    assert (comparison["gained"], comparison["lost"], comparison["before"]["rate"]) == (["greeting"], [], 0.0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--agent", "nobody"), "nobody"),
        (("--only", "absent"), "absent"),
        (("--compare", "/absent.json"), "/absent.json"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_runs(bench: Bench, arguments: tuple[str, ...], says: str):
    done = bench.run(bench.task("greeting"), *arguments, "--json")
    assert done.returncode == 2
    assert says in json.loads(done.stdout)["reason"]
    assert not (bench.place / "out").exists()


def test_a_file_of_tasks_without_clones_is_refused_with_the_option_that_is_missing(bench: Bench):
    (bench.place / "x.jsonl").write_text("{}")
    done = bench.run(bench.place / "x.jsonl")
    assert done.returncode == 2
    assert "--repositories" in done.stderr


def test_the_command_has_help_with_an_example(bench: Bench):
    done = subprocess.run([AICD, "eval", "--help"], capture_output=True, text=True)
    assert "Example:  aicd eval" in done.stdout

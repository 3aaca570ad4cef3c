"""`aicd jobs`, `show`, `doctor` and what every command has: the real process."""

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from redis import Redis

from aicd_core.testing.redis import redis_server
from shops import AICD, ISSUE, Shop, shop

__all__ = ["shop"]


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
        with Redis.from_url(redis.url) as client:
            client.config_set("requirepass", "hush")
        code, line = queue(redis.url)
        assert (code, "redis://:PASSWORD@HOST" in line, ". Start it" in line) == (1, True, True), line
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


@pytest.mark.parametrize("command", ["run", "jobs", "show", "doctor", "demo", "org", "policy", "github", "keys"])
def test_every_command_has_help_with_an_example(shop: Shop, command: str):
    done = subprocess.run([str(AICD), command, "--help"], capture_output=True, text=True, env=shop.environment())
    assert done.returncode == 0
    assert re.search(rf"Example:  (AICD_\S+ )?aicd {command}", done.stdout), done.stdout


def test_the_persons_own_postgres_settings_do_not_reach_the_embedded_server(shop: Shop):
    environment = shop.environment() | {"PGPORT": "1", "PGHOSTADDR": "127.0.0.1", "PGOPTIONS": "-c nonsense=1"}
    del environment["AICD_DATABASE_URL"], environment["AICD_SYSTEM_DATABASE_URL"]
    done = subprocess.run(shop.command("jobs"), env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")

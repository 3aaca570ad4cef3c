"""`aicd replay` and `aicd journal export`: the real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from aicd_core.ids import new_uuid
from aicd_core.testing.databases import TestUrls
from histories import git, make_greeting
from replays import DIFFS, source

__all__ = ["source"]

AICD = Path(sys.executable).with_name("aicd")
FULL = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs a command that cannot write a file of more than 100 bytes."""


def test_an_export_that_finds_no_room_leaves_no_file(tmp_path: Path, source: Path, database_urls: TestUrls):
    data, file = tmp_path / "data", tmp_path / "job.jsonl"
    ran = json.loads(aicd(data, database_urls, "run", "--repo", str(source), "--issue", DIFFS, "--json").stdout)
    command = [AICD, "journal", "export", ran["job_id"], "--to", file, "--data-dir", data]
    databases = {"AICD_DATABASE_URL": database_urls.app, "AICD_SYSTEM_DATABASE_URL": database_urls.system}
    done = subprocess.run(
        [sys.executable, "-c", FULL, *command],
        env={"PATH": os.environ["PATH"], "HOME": str(data), **databases},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert not file.exists()


def test_the_commands_write_a_cassette_and_play_it(tmp_path: Path, source: Path, database_urls: TestUrls):
    data, file = tmp_path / "data", str(tmp_path / "job.jsonl")
    ran = json.loads(aicd(data, database_urls, "run", "--repo", str(source), "--issue", DIFFS, "--json").stdout)
    for code in (0, 2):  # a file that is there is not written over
        assert aicd(data, database_urls, "journal", "export", ran["job_id"], "--to", file).returncode == code
    played = aicd(tmp_path / "other", database_urls, "replay", "--cassette", file, "--repo", str(source))
    assert played.returncode == 0, played.stderr
    assert "all 9 are identical" in played.stdout
    assert Path(file).stat().st_mode & 0o777 == 0o600
    other = make_greeting(tmp_path / "another")
    git(other, "commit", "-q", "--amend", "-m", "Another history")
    elsewhere = aicd(tmp_path / "other", database_urls, "replay", "--cassette", file, "--repo", str(other))
    assert elsewhere.returncode == 2
    assert "does not have the commit" in elsewhere.stderr
    assert "--repo" in elsewhere.stderr
    assert aicd(data, database_urls, "replay").returncode == 2


def test_the_calls_of_a_job_without_a_plan_are_exported_to_be_read(
    tmp_path: Path, source: Path, database_urls: TestUrls
):
    data, file = tmp_path / "data", str(tmp_path / "job.jsonl")
    ran = json.loads(aicd(data, database_urls, "run", "--repo", str(source), "--issue", "No diff", "--json").stdout)
    assert ran["code"] == "no_usable_diff"
    exported = aicd(data, database_urls, "journal", "export", ran["job_id"], "--to", file)
    assert exported.returncode == 0, exported.stderr
    assert "no plan, so there is nothing to replay" in exported.stdout
    played = aicd(data, database_urls, "replay", "--cassette", file, "--repo", str(source))
    assert (played.returncode, "has no plan yet" in played.stderr) == (2, True)


def aicd(data: Path, urls: TestUrls, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(data),
        "AICD_DATABASE_URL": urls.app,
        "AICD_SYSTEM_DATABASE_URL": urls.system,
    }
    command = [AICD, *arguments, "--data-dir", data]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_the_command_says_what_was_compared_and_ends_with_0_or_3(tmp_path: Path, source: Path, database_urls: TestUrls):
    data = tmp_path / "data"
    ran = json.loads(aicd(data, database_urls, "run", "--repo", str(source), "--issue", DIFFS, "--json").stdout)
    same = aicd(data, database_urls, "replay", ran["job_id"])
    assert same.returncode == 0, same.stderr
    assert "code/2 patch  identical  sha256 " in same.stdout
    assert "all 9 are identical; 0 calls" in same.stdout
    with psycopg.connect(database_urls.admin) as connection:
        connection.execute(
            "UPDATE artifacts SET content = convert_to(replace(convert_from(content, 'UTF8'), 'Applied', 'Added'), "
            "'UTF8') WHERE kind = 'change' AND round = 1"
        )
    other = aicd(data, database_urls, "replay", ran["job_id"], "--json")
    assert other.returncode == 3, other.stderr
    found = json.loads(other.stdout)
    assert found["identical"] is False
    (differing,) = (result for result in found["compared"] if not result["identical"])
    assert differing["what"] == "code/1 claim"
    assert differing["stored_sha256"] != differing["made_sha256"]
    words = aicd(data, database_urls, "replay", ran["job_id"])
    assert "code/1 claim  DIFFERS    sha256 stored " in words.stdout
    assert "1 of 9 differ" in words.stdout


def test_the_command_refuses_what_is_no_job(tmp_path: Path, database_urls: TestUrls):
    done = aicd(tmp_path / "data", database_urls, "replay", str(new_uuid()), "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["code"] == "no_such_job"


def test_the_help_says_that_no_test_is_run(tmp_path: Path):
    done = subprocess.run(
        [AICD, "replay", "--help"], capture_output=True, text=True, env={**os.environ, "COLUMNS": "120"}
    )
    assert "Tests are not run" in done.stdout

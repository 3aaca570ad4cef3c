"""`aicd org` and `aicd migrate` as an operator meets them: the real process, its output and its exit code."""

import base64
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from aicd_core.migrations import HEAD
from aicd_core.testing.databases import TestUrls

AICD = Path(sys.executable).with_name("aicd")


def aicd(urls: TestUrls, place: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(AICD), *arguments, "--data-dir", str(place)],
        env=environment(urls) | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def environment(urls: TestUrls) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "AICD_DATABASE_URL": urls.app,
        "AICD_SYSTEM_DATABASE_URL": urls.system,
        "AICD_MIGRATION_DATABASE_URL": urls.admin,
    }


def slugs(urls: TestUrls) -> set[str]:
    with psycopg.connect(urls.admin) as connection:
        return {row[0] for row in connection.execute("SELECT slug FROM organizations")}


def test_an_export_to_a_file_is_whole_private_and_never_overwrites(
    database_urls: TestUrls, tmp_path: Path, tenant: object
):
    target = tmp_path / "acme.jsonl"
    done = aicd(database_urls, tmp_path, "org", "export", "--org", "acme", "--output", str(target))
    assert (done.returncode, done.stdout) == (0, "")
    first, *_, last = (json.loads(line) for line in target.read_text().splitlines())
    assert (first["organization"]["slug"], last["end"]) == ("acme", True)
    assert target.stat().st_mode & 0o777 == 0o600
    again = aicd(database_urls, tmp_path, "org", "export", "--org", "acme", "--output", str(target))
    assert (again.returncode, "there already" in again.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir() if "jsonl" in path.name] == ["acme.jsonl"]
    nowhere = aicd(database_urls, tmp_path, "org", "export", "--org", "nobody")
    assert (nowhere.returncode, "no organization 'nobody'" in nowhere.stderr) == (2, True)


def test_erasing_wants_to_hear_that_it_is_meant(database_urls: TestUrls, tmp_path: Path, tenant: object, rival: object):
    asked = aicd(database_urls, tmp_path, "org", "delete", "--org", "acme")
    assert (asked.returncode, "--yes-erase-everything" in asked.stderr) == (2, True)
    assert slugs(database_urls) == {"acme", "rival"}
    done = aicd(database_urls, tmp_path, "org", "delete", "--org", "acme", "--yes-erase-everything")
    assert (done.returncode, "acme is erased" in done.stdout) == (0, True), done.stderr
    assert slugs(database_urls) == {"local", "rival"}
    kept = re.search(r"kept under ([0-9a-f-]{36})\.", done.stdout)
    assert kept
    assert done.stdout.split("remove:  ")[1].split() == [
        f"{kind}/{kept[1]}" for kind in ("mirrors", "caches", "agents")
    ]


@pytest.mark.parametrize(("typed", "left"), [("acne\n", {"acme", "local"}), ("acme\n", {"local"})])
def test_at_a_terminal_the_slug_is_typed_again(
    database_urls: TestUrls, tmp_path: Path, tenant: object, typed: str, left: set[str]
):
    ours, theirs = pty.openpty()
    command = [str(AICD), "org", "delete", "--org", "acme", "--yes-erase-everything", "--data-dir", str(tmp_path)]
    os.write(ours, typed.encode())
    done = subprocess.run(command, env=environment(database_urls), stdin=theirs, capture_output=True, timeout=120)
    os.close(ours)
    os.close(theirs)
    assert (done.returncode == 0) == ("acme" not in left)
    assert slugs(database_urls) == left


def test_reencrypting_without_a_key_says_how_to_make_one(database_urls: TestUrls, tmp_path: Path, tenant: object):
    done = aicd(database_urls, tmp_path, "org", "reencrypt")
    assert (done.returncode, "head -c 32" in done.stderr) == (1, True)
    keys = f"k1:{base64.b64encode(os.urandom(32)).decode()}"
    done = aicd(database_urls, tmp_path, "org", "reencrypt", AICD_SECRET_KEYS=keys)
    assert (done.returncode, done.stdout.startswith("0 secret(s)")) == (0, True), done.stderr


def test_migrating_up_is_free_and_going_back_wants_to_hear_that_it_is_meant(database_urls: TestUrls, tmp_path: Path):
    def migrate(*arguments: str) -> tuple[int, str]:
        done = aicd(database_urls, tmp_path, "migrate", *arguments)
        return done.returncode, done.stdout or done.stderr

    assert migrate() == (0, f"schema before: {HEAD}\nschema after:  {HEAD}\n")
    assert migrate("--to", "0009")[0] == 2
    code, said = migrate("--to", "0001")
    assert (code, "--drop-data" in said) == (2, True)
    code, said = migrate("--to", "0001", "--drop-data", "--json")
    assert (code, json.loads(said)) == (0, {"before": HEAD, "after": "0001"})
    assert migrate() == (0, f"schema before: 0001\nschema after:  {HEAD}\n")


def test_doctor_tells_the_schema_that_there_is_and_the_one_it_knows(database_urls: TestUrls, tmp_path: Path):
    newer = f"{int(HEAD) + 1:04}"
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        connection.execute(f"UPDATE alembic_version SET version_num = '{newer}'")
    told = aicd(database_urls, tmp_path, "doctor").stdout
    assert f"schema {newer}, and this version knows {HEAD}; they fit" in told


def test_migrating_ones_own_database_needs_its_owners_url(database_urls: TestUrls, tmp_path: Path):
    done = aicd(database_urls, tmp_path, "migrate", AICD_MIGRATION_DATABASE_URL="")
    assert (done.returncode, "AICD_MIGRATION_DATABASE_URL" in done.stderr) == (2, True)


def test_the_embedded_database_is_migrated_and_erased_without_any_url(tmp_path: Path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(AICD), *arguments, "--data-dir", str(tmp_path / "data")]
        return subprocess.run(
            command,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    assert run("migrate").stdout == f"schema before: none\nschema after:  {HEAD}\n"
    assert json.loads(run("org", "export").stdout.splitlines()[-1])["rows"]["organizations"] == 1
    done = run("org", "delete", "--org", "local", "--yes-erase-everything")
    assert done.returncode == 0, done.stderr


def test_an_organizations_policy_is_shown_published_and_guarded_by_its_version(database_urls: TestUrls, tmp_path: Path):
    shown = aicd(database_urls, tmp_path, "policy", "show")
    assert "built-in" in shown.stderr
    rules = json.loads(shown.stdout) | {"max_files": 3}
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(rules))
    assert "version 1" in aicd(database_urls, tmp_path, "policy", "publish", str(file), "--note", "Few.").stdout
    assert json.loads(aicd(database_urls, tmp_path, "policy", "show").stdout)["max_files"] == 3
    stale = aicd(database_urls, tmp_path, "policy", "publish", str(file), "--expected", "0")
    assert (stale.returncode, "no longer at version 0" in stale.stderr) == (1, True)
    file.write_text('{"max_files": "many"}')
    bad = aicd(database_urls, tmp_path, "policy", "publish", str(file))
    assert (bad.returncode, "max_files" in bad.stderr) == (2, True)


def test_who_may_start_jobs_is_shown_and_set(database_urls: TestUrls, tmp_path: Path, tenant: object):
    def triggers(*arguments: str) -> tuple[int, str]:
        done = aicd(database_urls, tmp_path, "org", "triggers", "--org", "acme", *arguments)
        return done.returncode, done.stdout or done.stderr

    assert triggers() == (0, "people need  write\nbots         none\nagent        dummy\n")
    code, said = triggers("--permission", "maintain", "--allow-bot", "renovate[bot]", "--allow-bot", "x[bot]", "--json")
    assert (code, json.loads(said)["permission"]) == (0, "maintain")
    code, said = triggers("--refuse-bot", "X[bot]", "--json")
    assert json.loads(said) == {"permission": "maintain", "bots": ["renovate[bot]"], "agent": "dummy"}
    assert triggers("--permission", "read")[0] == 2
    assert triggers("--agent", "nobody")[0] == 2
    assert "go together" in triggers("--base", "develop")[1]
    assert triggers("--repo", "/nowhere", "--base", "develop")[0] == 2


def test_an_organization_that_there_is_not_is_refused_at_the_start(database_urls: TestUrls, tmp_path: Path):
    more = {"AICD_GITHUB_ACCOUNTS": "octocat=acme,other=local"}
    done = aicd(database_urls, tmp_path, "worker", **more)
    assert (done.returncode, "names 'acme', and there is no such organization" in done.stderr) == (2, True), done.stderr

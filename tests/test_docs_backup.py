"""What the documents say about backups and restores, typed by somebody with the embedded database."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aicd_core.testing.redis import RedisServer, redis_server
from docs_reader import Reader, environment_of, sample_project

pytestmark = pytest.mark.timeout(1200)
OLD, NEW = "a-password-of-this-test", "another-password-of-it"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def reader(tmp_path: Path, queue: RedisServer) -> Reader:
    project = sample_project(tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/aicd_backup_password").write_text(OLD)
    standing_in = {
        "sftp:backup@box.example:/aicd": f"{tmp_path}/vault",
        "/etc/aicd/secrets": f"{tmp_path}/secrets",
        "--wal-every 60s": "--wal-every 1s",
        "--replace aicd": "--replace postgres",
        "aicd restore --at latest": "aicd restore --at latest --replace postgres",
    }
    environment = environment_of(tmp_path, AICD_DATA_DIR=f"{tmp_path}/data", AICD_REDIS_URL=queue.url)
    return Reader(tmp_path, environment, standing_in, folder=project)


def jobs(reader: Reader) -> set[str]:
    return set(re.findall(r"^[0-9a-f-]{36}", reader.shell("aicd jobs"), re.MULTILINE))


def work(reader: Reader, title: str) -> None:
    """One job more."""
    reader.shell(f"sed -i '1s/.*/{title}/' issue.md; aicd run --repo . --issue-file issue.md")


def change_password(reader: Reader) -> None:
    """As docs/secrets.md has it, at a terminal: the new one opens the repository from then on, the old one never."""
    file = reader.home / "secrets/aicd_backup_password"
    ask = f'restic -r "$AICD_BACKUP_REPOSITORY" -p {file} key list'
    (old,) = re.findall(r"^\*(\w+)", reader.shell(ask), re.MULTILINE)
    opens = "enter password for repository: "
    answers = [(opens, OLD), ("enter new password: ", NEW), ("enter password again: ", NEW), (opens, NEW), (opens, NEW)]
    told = reader.run("docs/secrets.md", "restic -r", put={"ID": old}, answers=answers)
    assert re.search(rf"^ {old} ", told, re.MULTILINE), "the new one is in use"
    assert '"wrong_backup_password"' in reader.shell("! aicd backup verify --json")
    file.write_text(NEW)
    assert "whole" in reader.shell("aicd backup verify")


def test_backups_are_made_looked_at_and_restored(reader: Reader, queue: RedisServer) -> None:
    work(reader, "One")
    told = reader.run("docs/backup.md", "export AICD_BACKUP_REPOSITORY")
    one = re.search(r"^([0-9a-f]{8,}) as of", told, re.MULTILINE)[1]
    assert "and it was restored" in told
    change_password(reader)
    queue.flush()
    assert reader.run("docs/backup.md", "aicd backup list ", put={"3f9c01ab": one}).count("Put back into redis") == 2
    with reader.running("docs/backup.md", "aicd backup run --every 24h\n", ["the next backup is due"]):
        pass
    first = jobs(reader)
    work(reader, "Two")
    with reader.running("docs/backup.md", "aicd backup run --every 24h --wal-every", ["the log is kept until now"]) as (
        service,
    ):
        moment = reader.shell("sleep 2; date -u +%Y-%m-%dT%H:%M:%SZ; sleep 2").strip()
        second = jobs(reader)
        work(reader, "Three")
        shipped = len(re.findall("the log is kept until now", service.said()))
        service.wait_for("(?s)" + "the log is kept until now.*" * (shipped + 2))
    third = jobs(reader)
    assert len(first) + 2 == len(second) + 1 == len(third)

    reader.environment["AICD_DATA_DIR"] = f"{reader.home}/empty"
    reader.run("docs/backup.md", "aicd restore  ")
    assert jobs(reader) == first
    reader.environment["AICD_DATA_DIR"] = f"{reader.home}/other"
    put = {"ID": one, "2026-11-26T14:29:00Z": moment}
    told = reader.run("docs/recovery.md", "aicd restore ", put=put)
    assert f"{one} " in told
    assert told.count("is kept as") == 3
    assert jobs(reader) == second

"""The embedded Postgres: shared, restarted, and left clean, also by processes that are killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from aicd_core.db.embedded import SOCKET_NAME, SOCKET_PATH_MAX, EmbeddedPostgres
from aicd_core.errors import UnavailableError

STARTER = """
import sys, time
from pathlib import Path
from aicd_core.db.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
server.start()
print("started", flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def root(tmp_path: Path):
    place = tmp_path / "postgres"
    yield place
    leftover = EmbeddedPostgres(place, durable=False)
    if place.exists():
        leftover.start()
        leftover.stop()
    assert leftover.pid() is None


def starter(root: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    return process


def ask(server: EmbeddedPostgres, statement: str):
    with psycopg.connect(server.url(), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else None


def test_data_survives_a_stop_and_a_start(root: Path):
    server = EmbeddedPostgres(root, durable=False)
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 7 AS number")
    server.stop()
    assert server.pid() is None
    server.start()
    assert ask(server, "SELECT number FROM kept") == [(7,)]
    server.stop()


def test_the_last_user_to_leave_stops_the_server_and_no_one_before(root: Path):
    first, second = starter(root), starter(root)
    server = EmbeddedPostgres(root)
    running = server.pid()
    first.communicate()
    assert server.pid() == running
    second.communicate()
    assert server.pid() is None


def test_the_server_survives_the_kill_of_its_starter_and_still_stops_with_its_last_user(root: Path):
    first = starter(root)
    server = EmbeddedPostgres(root, durable=False)
    running = server.pid()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    server.start()
    assert server.pid() == running
    assert ask(server, "SELECT 1") == [(1,)]
    server.stop()
    assert server.pid() is None


def test_a_killed_server_is_started_again_with_its_data(root: Path):
    server = EmbeddedPostgres(root, durable=False)
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 7 AS number")
    number = server.pid()
    assert number is not None
    os.kill(number, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.pid() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    again = EmbeddedPostgres(root, durable=False)
    again.start()
    assert ask(again, "SELECT number FROM kept") == [(7,)]
    again.stop()
    server.stop()


def test_an_interrupted_creation_is_done_anew(root: Path):
    server = EmbeddedPostgres(root, durable=False)
    server.start()
    server.stop()
    (root / "initialised").unlink()
    (root / "cluster" / "global" / "pg_control").unlink()
    server.start()
    assert ask(server, "SELECT 1") == [(1,)]
    server.stop()


def test_many_processes_that_start_at_once_share_one_server(root: Path):
    processes = [
        subprocess.Popen([sys.executable, "-c", STARTER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
    server = EmbeddedPostgres(root)
    assert server.pid() is not None
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert server.pid() is None


def test_a_deep_data_directory_gets_a_short_socket_path(tmp_path: Path):
    server = EmbeddedPostgres(tmp_path / ("d" * 100) / "postgres", durable=False)
    assert len(os.fsencode(server.socket_dir / SOCKET_NAME)) <= SOCKET_PATH_MAX
    server.start()
    assert ask(server, "SELECT 1") == [(1,)]
    server.stop()


def test_no_permission_of_the_folders_above_is_changed(tmp_path: Path):
    above = tmp_path / "private"
    above.mkdir(mode=0o700)
    server = EmbeddedPostgres(above / "postgres", durable=False)
    server.start()
    server.stop()
    assert above.stat().st_mode & 0o777 == 0o700


def test_a_place_that_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError, match="--data-dir"):
        EmbeddedPostgres(tmp_path / "file" / "postgres").start()


ONCE = """
import sys
from pathlib import Path
import psycopg
from aicd_core.db.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
with psycopg.connect(server.start()) as connection:
    print(connection.execute("SELECT 1").fetchone()[0])
server.stop()
"""


@pytest.mark.parametrize("name", ["with space", "it's", "$(touch pwned)", "a;b"])
def test_a_folder_of_any_name_will_do_and_nothing_of_it_is_run(name: str):
    with tempfile.TemporaryDirectory(prefix="aicd-", dir="/tmp") as place:
        root = Path(place)
        root.chmod(0o777)
        command = [sys.executable, "-c", ONCE, str(root / name / "postgres")]
        if os.geteuid() == 0:
            python = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3"]
            command = [*python, *command[1:]]
        environment = {"PYTHONPATH": ":".join(sys.path), "PATH": os.defpath}
        done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
        if "No module named" in done.stderr:
            pytest.skip("the packages are not readable for other users here")
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
        assert not list(root.rglob("pwned"))


def test_a_server_that_cannot_be_seen_is_not_started_twice(root: Path):
    server = EmbeddedPostgres(root, durable=False)
    server.start()
    (root / "cluster" / "postmaster.pid").rename(root / "hidden")
    with pytest.raises(UnavailableError, match="another container"):
        EmbeddedPostgres(root, durable=False).start()
    (root / "hidden").rename(root / "cluster" / "postmaster.pid")
    server.stop()

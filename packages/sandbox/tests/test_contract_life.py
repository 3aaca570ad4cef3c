import asyncio
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from aicd_core.contracts import CommandResult, Sandbox, SandboxSession
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_sandbox.egress.proxy import EgressProxy, Internet

Run = Callable[..., Awaitable[CommandResult]]
Find = Callable[[str], list[int]]

WORKER = """
import asyncio, sys
from pathlib import Path
from aicd_core.contracts import SandboxLimits
from aicd_sandbox import BubblewrapSandbox, ContainerSandbox

sizes = dict(memory=2**30, file_size=2**20, output=1000, log=1000, tree_size=2**30)
limits = SandboxLimits(processes=64, tree_files=1000, **sizes)
engine, image = sys.argv[3:5]
sandbox = ContainerSandbox(limits, engine=engine, image=image) if engine else BubblewrapSandbox(limits)

async def work():
    session = await sandbox.open(Path(sys.argv[1]))
    await session.run(sys.argv[2], timeout=90)

print("up", flush=True)
sys.stdin.readline()
asyncio.run(work())
"""


@pytest.fixture
def nap() -> str:
    """A number of seconds that no other process on this machine sleeps for."""
    return f"600.{secrets.randbelow(10**12):012}"


def open_files() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


def start_worker(kind: str, tree: Path, command: str) -> subprocess.Popen[bytes]:
    """A process that says `up`, waits for a line, and runs the command in a sandbox."""
    engine = "" if kind == "bubblewrap" else kind
    arguments = [sys.executable, "-c", WORKER, str(tree), command, engine, "localhost/aicd-sandbox-test:latest"]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def exists(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def first_process(process: int) -> int:
    """The host's number of the process that is number 1 where the given one is."""
    while status_of(process, "NSpid")[-1] != "1":
        process = int(status_of(process, "PPid")[0])
    return process


def status_of(process: int, key: str) -> list[str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{key}:"))


def hidden(nap: str) -> str:
    """A command that leaves a daemon behind: another session, another parent, no pipe of ours."""
    return f"(setsid sh -c 'setsid sleep {nap} & exit' >/dev/null 2>&1 </dev/null &); "


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.01)
    return True


@pytest.mark.parametrize(
    ("command", "code"),
    [("true", 0), ("exit 7", 7), ("no-such-program", 127), ("kill -9 $$", 137), ("sh -c 'kill -15 $$'; exit $?", 143)],
)
async def test_the_exit_code_is_the_shells(run: Run, command: str, code: int) -> None:
    result = await run(command)
    assert (result.exit_code, result.timed_out, result.killed) == (code, False, None)
    assert result.command == command


async def test_both_outputs_come_in_order_and_what_is_no_text_is_replaced(run: Run) -> None:
    result = await run("printf 'a\\377'; printf b >&2; printf 'c\\000\\303\\244'")
    assert result.output == "a\ufffdbc\ufffdä"


async def test_output_is_handed_on_while_the_command_runs(run: Run) -> None:
    seen: list[tuple[float, str]] = []
    began = time.monotonic()
    await run(
        "echo one; sleep 0.5; printf '\\342\\202'; sleep 0.1; printf '\\254'",
        on_output=lambda text: seen.append((time.monotonic() - began, text)),
    )
    assert [text for _, text in seen] == ["one\n", "€"]
    assert seen[1][0] - seen[0][0] > 0.3


async def test_an_error_in_the_listener_reaches_the_caller_and_ends_the_command(
    run: Run, nap: str, host_processes: Find
) -> None:
    def refuse(_: str) -> None:
        raise ValueError("not listening")

    with pytest.raises(ValueError, match="not listening"):
        await run(f"echo x; sleep {nap}", on_output=refuse)
    assert host_processes(nap) == []


async def test_megabytes_on_standard_input_come_through_and_back(run: Run) -> None:
    data = os.urandom(4_000_000)
    result = await run("sha256sum", stdin=data)
    assert result.output.split()[0] == hashlib.sha256(data).hexdigest()
    echoed = await run("cat", stdin=b"line\n" * 1_000_000, output=100)
    assert echoed.truncated_bytes == 5_000_000 - 100


async def test_standard_input_that_nobody_reads_holds_nothing_up(run: Run) -> None:
    assert (await run("exit 3", stdin=b"x" * 4_000_000)).exit_code == 3


async def test_standard_input_is_empty_when_none_is_given(run: Run) -> None:
    assert (await run("wc -c")).output == "0\n"


async def test_a_very_long_command_runs(run: Run) -> None:
    result = await run(": " + "x" * 1_000_000 + "\necho done; exit 5")
    assert (result.output, result.exit_code) == ("done\n", 5)


async def test_a_command_with_a_nul_is_refused(run: Run) -> None:
    with pytest.raises(InvalidInputError, match="NUL"):
        await run("echo \0")


async def test_a_tree_that_is_not_there_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="not a folder"):
        await sandbox.open(tmp_path / "none")


async def test_a_background_process_that_holds_the_output_open_does_not_hold_up_the_call(
    run: Run, nap: str, host_processes: Find
) -> None:
    result = await run(f"sleep {nap} & echo started")
    assert (result.output, result.exit_code) == ("started\n", 0)
    assert host_processes(nap) == []


async def test_a_daemon_left_behind_is_dead_when_the_call_returns(run: Run, nap: str, host_processes: Find) -> None:
    result = await run(hidden(nap) + "sleep 0.3; grep -lx sleep /proc/[0-9]*/comm | wc -l")
    assert result.output == "1\n"
    assert host_processes(nap) == []


async def test_when_the_time_is_over_every_process_is_dead(run: Run, nap: str, host_processes: Find) -> None:
    result = await run(hidden(nap) + f"echo before; trap '' TERM INT; sleep {nap}", timeout=0.5)
    assert (result.timed_out, result.exit_code, result.outcome()) == (True, None, "timed out")
    assert result.output == "before\n"
    assert result.duration > 0.4
    assert host_processes(nap) == []


async def test_a_cancelled_call_returns_when_every_process_is_dead(run: Run, nap: str, host_processes: Find) -> None:
    task = asyncio.ensure_future(run(hidden(nap) + f"sleep {nap}"))
    assert await until(lambda: len(host_processes(nap)) == 2)
    processes = host_processes(nap)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert not any(exists(process) for process in processes)
    assert task.cancelled()
    assert (await run("echo next")).output == "next\n"


async def test_a_call_cancelled_while_it_starts_leaves_nothing(run: Run, nap: str, host_processes: Find) -> None:
    await run("true")
    before = open_files()
    for step in range(12):
        task = asyncio.ensure_future(run(f"sleep {nap}"))
        await asyncio.sleep(step * 0.0005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert host_processes(nap) == []
    assert (await run("echo next")).output == "next\n"
    assert open_files() == before


async def test_a_sandbox_whose_opening_is_cancelled_leaves_nothing(sandbox: Sandbox, tree: Path) -> None:
    await (await sandbox.open(tree)).close()
    before = open_files()
    for step in range(8):
        task = asyncio.ensure_future(sandbox.open(tree))
        await asyncio.sleep(step * 0.006)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await (await task).close()  # it stood already
        assert open_files() == before


@pytest.mark.parametrize("place", ["before", "after"])
async def test_a_sandbox_cancelled_at_its_last_step_leaves_nothing(
    sandbox: Sandbox, tree: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    await (await sandbox.open(tree)).close()
    before = open_files()
    real = EgressProxy.start

    async def cancelled(self: EgressProxy) -> None:
        if place == "after":
            await real(self)
        raise asyncio.CancelledError

    monkeypatch.setattr(EgressProxy, "start", cancelled)
    with pytest.raises(asyncio.CancelledError):
        await sandbox.open(tree)
    assert open_files() == before


async def test_a_proxy_cancelled_while_it_starts_holds_what_it_opened() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = EgressProxy(listener, Internet())
    starting = asyncio.ensure_future(proxy.start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await proxy.close()
    assert listener.fileno() == -1


async def test_what_a_command_leaves_in_its_folders_is_there_for_the_next_one(run: Run) -> None:
    await run("echo one > file; echo two > /tmp/file; echo three > $HOME/file")
    assert (await run("cat file /tmp/file $HOME/file")).output == "one\ntwo\nthree\n"


async def test_commands_at_the_same_time_wait_for_each_other(run: Run) -> None:
    await run("true")
    results = await asyncio.gather(*(run("test ! -e busy && touch busy && sleep 0.05; rm busy") for _ in range(4)))
    assert [result.exit_code for result in results] == [0, 0, 0, 0]


async def test_a_command_that_kills_all_it_can_ends_only_itself(run: Run) -> None:
    assert (await run("kill -9 1; kill -STOP 1; echo alive")).output.splitlines()[-1] == "alive"
    assert (await run("kill -9 -1; echo alive")).exit_code in {0, 137}
    assert (await run("echo next")).output == "next\n"


async def test_a_closed_session_says_so(session: SandboxSession) -> None:
    await session.close()
    await session.close()
    assert not session.alive
    with pytest.raises(UnavailableError, match="open another one"):
        await session.run("true", timeout=5)


async def test_a_session_closed_while_a_command_runs_ends_both(session: SandboxSession, nap: str) -> None:
    running = asyncio.ensure_future(session.run(f"sleep {nap}", timeout=60))
    waiting = asyncio.ensure_future(session.run("true", timeout=60))
    await asyncio.sleep(0.2)
    await session.close()
    assert (await running).killed == "the end of the sandbox"
    with pytest.raises(UnavailableError, match="open another one"):
        await waiting


async def test_the_output_can_be_opened_by_its_name(run: Run) -> None:
    result = await run("echo one > /dev/stdout; echo two > /dev/stderr; cat /dev/stdin", stdin=b"three\n")
    assert result.output == "one\ntwo\nthree\n"


async def test_the_whole_of_a_long_output_is_in_a_file(run: Run) -> None:
    result = await run("seq 1 20000", output=1000)
    assert result.log is not None
    assert Path(result.log).read_text() == "".join(f"{number}\n" for number in range(1, 20_001))
    assert result.truncated_bytes > 0
    assert (await run("seq 1 20", output=1000)).log is None


async def test_logs_are_limited_in_size_and_in_number(run: Run) -> None:
    logs = [(await run("seq 1 20000", output=1000, log=5000)).log or "" for _ in range(18)]
    assert Path(logs[-1]).stat().st_size == 5000
    assert len(list(Path(logs[-1]).parent.iterdir())) == 16
    assert Path(logs[-1]).stat().st_mode & 0o777 == 0o600


async def test_many_sandboxes_run_at_once_and_leave_no_file_open(sandbox: Sandbox, tree: Path) -> None:
    async def one(number: int) -> int | None:
        session = await sandbox.open(tree)
        try:
            return (await session.run(f"sleep 0.2; exit {number}", timeout=20)).exit_code
        finally:
            await session.close()

    assert await one(7) == 7
    before = open_files()
    assert await asyncio.gather(*map(one, range(4))) == list(range(4))
    assert open_files() == before


async def test_a_sandbox_killed_from_outside_has_no_exit_code(
    session: SandboxSession, nap: str, host_processes: Find
) -> None:
    task = asyncio.ensure_future(session.run(f"sleep {nap}", timeout=20))
    assert await until(lambda: len(host_processes(nap)) == 1)
    os.kill(first_process(host_processes(nap)[0]), signal.SIGKILL)
    result = await task
    assert (result.exit_code, result.timed_out, result.killed) == (None, False, "the end of the sandbox")
    assert host_processes(nap) == []
    assert not session.alive


@pytest.mark.parametrize("delay", [None, 0.0, 0.01, 0.03, 0.06])
async def test_the_sandbox_dies_with_a_worker_that_is_killed(
    kind: str, tree: Path, nap: str, host_processes: Find, delay: float | None
) -> None:
    command = hidden(nap) + f"sleep {nap}"
    with start_worker(kind, tree, command) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"up\n"
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
        if delay is None:
            assert await until(lambda: len(host_processes(nap)) == 2)
        else:
            await asyncio.sleep(delay)
        worker.kill()
    assert await until(lambda: host_processes(nap) == [], seconds=5)
    await asyncio.sleep(0.05 if delay is None else 0.3)
    assert host_processes(nap) == []

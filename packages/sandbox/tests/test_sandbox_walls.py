import os
import secrets
import tempfile
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aicd_core.contracts import CommandResult, Sandbox
from aicd_sandbox.host import service_ids

Run = Callable[..., Awaitable[CommandResult]]


@pytest.fixture(params=["bubblewrap"])
def kind(request: pytest.FixtureRequest) -> str:
    """What is seen inside is bubblewrap's to say; a container shows its image."""
    return str(request.param)


CONNECT = "python3 -c 'import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)' {} {}"


async def test_there_is_no_way_out_to_any_network(run: Run) -> None:
    result = await run(CONNECT.format("192.0.2.1", 443))
    assert "Network is unreachable" in result.output
    interfaces = await run("tail -n +3 /proc/net/dev | cut -d: -f1")
    assert interfaces.output.split() == ["lo"]


async def test_the_sandboxes_own_loopback_works(run: Run) -> None:
    script = "import socket; s = socket.create_server(('localhost', 0)); socket.create_connection(s.getsockname())"
    assert (await run(f'python3 -c "{script}"')).ok


@pytest.mark.parametrize("path", ["/etc/shadow", "/root", "/home", "/var", "/run", "/sys", "/opt", "/mnt"])
async def test_the_hosts_private_places_do_not_exist(run: Run, path: str) -> None:
    result = await run(f"ls -d {path}")
    assert "No such file or directory" in result.output
    assert result.exit_code == 2


async def test_the_hosts_tmp_is_not_seen_and_nothing_is_left_in_it(run: Run) -> None:
    name = f"left-{secrets.token_hex(8)}"
    with tempfile.NamedTemporaryFile(dir="/tmp") as planted:
        result = await run(f"touch /tmp/{name}; ls /tmp; cat {planted.name}")
    assert result.output.splitlines()[:2] == ["home", name]
    assert "No such file" in result.output
    assert name not in os.listdir("/tmp")  # noqa: PTH208


async def test_the_hosts_processes_are_not_seen(run: Run) -> None:
    result = await run(f"ls /proc | grep '^[0-9]'; kill -0 {os.getpid()} 2>&1")
    numbers = {int(line) for line in result.output.split() if line.isdigit()}
    assert {1, 2} <= numbers <= set(range(1, 10))
    assert "No such process" in result.output


@pytest.mark.parametrize("folder", ["/", "/usr", "/usr/local/bin", "/bin", "/etc", "/dev", "/etc/ssl/certs"])
async def test_nothing_can_be_written_outside_the_tree(run: Run, folder: str) -> None:
    result = await run(f"touch {folder}/planted")
    assert result.exit_code == 1
    assert "Read-only file system" in result.output


@pytest.mark.parametrize("folder", ["/work", "/tmp", "$HOME", "/dev/shm"])
async def test_the_tree_and_the_private_folders_can_be_written(run: Run, folder: str) -> None:
    result = await run(f"echo text > {folder}/file && cat {folder}/file")
    assert result.output == "text\n"


async def test_the_tree_is_the_work_folder_and_its_files_belong_to_the_owner(
    run: Run, tree: Path, sandbox: Sandbox
) -> None:
    result = await run("pwd; echo made > made; stat -c %U made")
    assert result.output == "/work\nsandbox\n"
    status = (tree / "made").stat()
    assert (tree / "made").read_text() == "made\n"
    assert (status.st_uid, status.st_gid) == (sandbox.owner or (os.getuid(), os.getgid()))
    assert status.st_mode & 0o777 == 0o644


async def test_the_environment_is_built_from_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "do-not-leak")
    result = await run("env; cat /proc/*/environ", env={"GIVEN": "a b\nc"})
    assert "PLANTED_TOKEN" not in result.output
    own = await run("env -0 | tr '\\0' ';'", env={"GIVEN": "a b\nc"})
    assert dict(pair.split("=", 1) for pair in own.output.split(";") if pair) == {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/tmp/home/.local/bin",
        "HOME": "/tmp/home",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "CI": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_BREAK_SYSTEM_PACKAGES": "1",
        "PWD": "/work",
        "GIVEN": "a b\nc",
    }


async def test_the_command_is_not_root_on_the_host_and_has_no_privilege_left(run: Run, sandbox: Sandbox) -> None:
    result = await run("id -u; id -g; grep -E '^(Cap|NoNewPrivs|Groups)' /proc/self/status")
    uid, gid, *rest = result.output.splitlines()
    assert (int(uid), int(gid)) == (sandbox.owner or (os.getuid(), os.getgid()))
    status = {line.split(":")[0]: line.split(":")[1].strip() for line in rest if ":" in line}
    capabilities = {name: int(value, 16) for name, value in status.items() if name.startswith("Cap")}
    assert capabilities == dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0)
    assert status["NoNewPrivs"] == "1"


async def test_the_host_too_sees_another_user_than_root(run: Run, host_processes: Callable[[str], list[int]]) -> None:
    nap = f"600.{secrets.randbelow(10**12):012}"
    seen: list[str] = []

    def look(_: str) -> None:
        (process,) = host_processes(nap)
        seen.append(Path(f"/proc/{process}/status").read_text())

    await run(f"sleep {nap} & sleep 0.1; echo look; sleep 0.5", on_output=look)
    uids = next(line for line in seen[0].splitlines() if line.startswith("Uid:")).split()[1:]
    assert set(uids) == {str(os.getuid() or service_ids()[0])}


async def test_no_open_file_of_the_worker_gets_in(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        result = await run("ls -l /proc/self/fd; ls /proc/self/fd")
    assert "secret" not in result.output
    # The last one is the listed folder itself.
    assert result.output.split()[-4:] == ["0", "1", "2", "3"]


async def test_the_systems_programs_and_names_work(run: Run) -> None:
    result = await run(
        "python3 -c 'import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 9)'"
        " && python3 -c 'import multiprocessing; multiprocessing.Lock()'"
        " && git init -q . && git status --short && whoami && hostname && getent hosts localhost >/dev/null"
    )
    assert result.output.split() == ["True", "sandbox", "sandbox"]
    assert result.ok


async def test_there_is_no_terminal_to_type_into(run: Run) -> None:
    result = await run(
        "python3 -c 'import os; print(os.getsid(0) == os.getsid(os.getppid()), os.isatty(0))'; : < /dev/tty"
    )
    assert "False" in result.output.splitlines()[0].split()[1]
    assert result.exit_code != 0


async def test_pip_installs_packages_and_their_commands_for_the_sandbox_alone(run: Run, tree: Path) -> None:
    if (await run("python3 -m pip --version")).exit_code:
        pytest.skip("the system has no pip")
    folder = "greeter-1.dist-info"
    files = {
        "greeter.py": "def main():\n    print('hello')\n",
        f"{folder}/METADATA": "Metadata-Version: 2.1\nName: greeter\nVersion: 1\n",
        f"{folder}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{folder}/entry_points.txt": "[console_scripts]\ngreet = greeter:main\n",
        f"{folder}/RECORD": "",
    }
    with zipfile.ZipFile(tree / "greeter-1-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    result = await run("python3 -m pip install -q --no-index ./greeter-1-py3-none-any.whl && greet")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "hello"), result.output

import pytest

from aicd_core.contracts import SandboxLimits
from aicd_core.errors import InvalidInputError
from aicd_sandbox.arguments import (
    COMMAND_FILE,
    LONGEST_ARGUMENT,
    command_bytes,
    environment,
    inner_command,
    limit_options,
    made_up_files,
    options,
)
from aicd_sandbox.host import SANDBOX_GID, SANDBOX_UID, Host
from aicd_sandbox.programs import Programs

LIMITS = SandboxLimits(memory=1 << 30, processes=100, file_size=1 << 20, output=1000)
PROGRAMS = Programs("/usr/bin/bwrap", "/usr/bin/setpriv", "/usr/bin/prlimit", (0, 8, 0), sized_tmpfs=True)
NO_HARD_LIMITS = dict.fromkeys(("core", "data", "fsize", "nofile", "nproc", "stack"), -1)


def host(uid: int) -> Host:
    links = (("usr/bin", "/bin"),)
    return Host(uid, uid, links, ("/lib64",), ("/etc/ssl/certs",), NO_HARD_LIMITS)


def words(uid: int) -> str:
    chosen = options(host(uid), tree="/srv/tree", env={"A": "b c"}, files=[(9, "/etc/passwd")], tmpfs_size=5)
    return " ".join(chosen)


def test_root_becomes_another_user_before_anything_runs() -> None:
    inner = inner_command(host(0), PROGRAMS, LIMITS, b"make")
    assert inner[:5] == ["/usr/bin/setpriv", "--reuid", str(SANDBOX_UID), "--regid", str(SANDBOX_GID)]
    assert "--unshare-user" not in words(0)


def test_an_ordinary_user_stays_who_he_is_in_a_user_namespace() -> None:
    inner = inner_command(host(1000), PROGRAMS, LIMITS, b"make")
    assert inner[0] == "/usr/bin/prlimit"
    assert words(1000).startswith("--unshare-user --unshare-ipc")
    assert "--cap-add" not in words(1000)


def test_the_tree_is_the_only_host_folder_bound_for_writing() -> None:
    assert words(0).split(" --bind ")[1:] == [
        "/srv/tree /work --remount-ro /dev --remount-ro / --setenv A b c --chdir /work"
    ]


def test_the_folders_above_a_bound_file_are_open_to_all() -> None:
    assert "--perms 0755 --dir /etc --perms 0755 --dir /etc/ssl --ro-bind /etc/ssl/certs" in words(0)


def test_a_limit_above_the_hosts_own_is_lowered_to_it() -> None:
    chosen = limit_options(LIMITS, NO_HARD_LIMITS | {"nofile": 512, "data": 1 << 20})
    assert "--nofile=512:512" in chosen
    assert f"--data={1 << 20}:{1 << 20}" in chosen
    assert "--nproc=100:100" in chosen
    assert "--core=0:0" in chosen


def test_a_command_too_long_for_an_argument_goes_by_file() -> None:
    long, short = b"x" * (LONGEST_ARGUMENT + 1), b"x" * LONGEST_ARGUMENT
    assert made_up_files((1, 1), long)[COMMAND_FILE] == long
    assert COMMAND_FILE not in made_up_files((1, 1), short)
    assert inner_command(host(0), PROGRAMS, LIMITS, short)[-1] == short
    assert inner_command(host(0), PROGRAMS, LIMITS, long)[-1] == f". {COMMAND_FILE}"


@pytest.mark.parametrize("command", ["echo \0", "echo \ud800"])
def test_a_command_that_no_shell_can_be_given_is_refused(command: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^The command "):
        command_bytes(command)


@pytest.mark.parametrize(
    "extra",
    [
        {"": "x"},
        {"A=B": "x"},
        {"A\0": "x"},
        {"A": "x\0"},
        {"A": "\ud800"},
        {"A": "x" * LONGEST_ARGUMENT},
        {f"A{number}": "x" * 100_000 for number in range(11)},
    ],
)
def test_a_variable_that_no_environment_can_hold_is_refused(extra: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="environment variable"):
        environment(extra)


def test_a_given_variable_wins_over_the_sandboxes_own() -> None:
    assert environment({"CI": "0", "NEW": "1"})["CI"] == "0"
    assert environment({})["CI"] == "1"

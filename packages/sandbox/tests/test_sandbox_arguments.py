from pathlib import Path

import pytest

from aicd_core.contracts import CacheMount, SandboxLimits
from aicd_core.errors import InvalidInputError
from aicd_sandbox.arguments import (
    LONGEST_ARGUMENT,
    SERVER_FILE,
    environment,
    inner_command,
    limit_options,
    made_up_files,
    options,
    require_runnable,
)
from aicd_sandbox.host import Host
from aicd_sandbox.programs import Programs

LIMITS = SandboxLimits(
    memory=1 << 30, processes=100, file_size=1 << 20, output=1000, log=1000, tree_size=1 << 30, tree_files=1000
)
PROGRAMS = Programs(
    "/usr/bin/bwrap", "/usr/bin/setpriv", "/usr/bin/prlimit", "/usr/bin/python3", (0, 8, 0), sized_tmpfs=True
)
NO_HARD_LIMITS = dict.fromkeys(("core", "data", "fsize", "nofile", "nproc", "stack"), -1)


def host(uid: int) -> Host:
    links = (("usr/bin", "/bin"),)
    return Host(uid, uid, (777, 778), links, ("/lib64",), ("/etc/ssl/certs",), NO_HARD_LIMITS)


def words(uid: int, cache: CacheMount | None = None) -> str:
    chosen = options(host(uid), tree="/srv/tree", cache=cache, files=[(9, "/etc/passwd")], tmpfs_size=5)
    return " ".join(chosen)


def test_root_becomes_another_user_before_anything_runs() -> None:
    inner = inner_command(host(0), PROGRAMS, LIMITS, 7, grouped=True)
    assert inner[:5] == ["/usr/bin/setpriv", "--reuid", "777", "--regid", "778"]
    assert inner[-6:] == ["/usr/bin/python3", "-I", "-S", "-B", SERVER_FILE, "7"]
    assert "--unshare-user" not in words(0)


def test_an_ordinary_user_stays_who_he_is_in_a_user_namespace() -> None:
    inner = inner_command(host(1000), PROGRAMS, LIMITS, 7, grouped=False)
    assert inner[0] == "/usr/bin/prlimit"
    assert words(1000).startswith("--unshare-user --unshare-ipc")
    assert "--cap-add" not in words(1000)


def test_the_tree_is_the_only_host_folder_bound_for_writing() -> None:
    assert words(0).split(" --bind ")[1:] == ["/srv/tree /work --remount-ro /dev --remount-ro / --chdir /work"]


def test_a_cache_is_bound_for_writing_only_where_it_is_a_copy() -> None:
    assert "--ro-bind /srv/cache /cache" in words(0, CacheMount(Path("/srv/cache"), writable=False))
    assert " --bind /srv/cache /cache" in words(0, CacheMount(Path("/srv/cache"), writable=True))


def test_the_folders_above_a_bound_file_are_open_to_all() -> None:
    assert "--perms 0755 --dir /etc --perms 0755 --dir /etc/ssl --ro-bind /etc/ssl/certs" in words(0)


def test_a_limit_above_the_hosts_own_is_lowered_to_it() -> None:
    chosen = limit_options(LIMITS, NO_HARD_LIMITS | {"nofile": 512, "data": 1 << 20}, grouped=False)
    assert "--nofile=512:512" in chosen
    assert f"--data={1 << 20}:{1 << 20}" in chosen
    assert "--nproc=100:100" in chosen
    assert "--core=0:0" in chosen


def test_where_a_control_group_counts_processes_the_users_own_limit_is_left_alone() -> None:
    assert not any(option.startswith("--nproc") for option in limit_options(LIMITS, NO_HARD_LIMITS, grouped=True))


def test_the_command_server_is_one_of_the_made_up_files() -> None:
    assert made_up_files((1, 1), b"the server")[SERVER_FILE] == b"the server"


@pytest.mark.parametrize("command", ["echo \0", "echo \ud800"])
def test_a_command_that_no_shell_can_be_given_is_refused(command: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^The command "):
        require_runnable(command)


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
        environment({}, extra)


def test_a_given_variable_wins_over_the_sandboxes_own() -> None:
    assert environment({"CI": "2"}, {"CI": "0", "NEW": "1"})["CI"] == "0"
    assert environment({"CI": "2"}, {})["CI"] == "2"
    assert environment({}, {})["CI"] == "1"

"""From limits and facts to the command line of one bubblewrap; nothing here touches the machine."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from aicd_core.contracts import SandboxLimits
from aicd_core.errors import InvalidInputError
from aicd_sandbox.host import Host
from aicd_sandbox.programs import Programs

WORK = "/work"
HOME = "/tmp/home"  # noqa: S108  (a folder of the sandbox's own private /tmp)
COMMAND_FILE = "/etc/sandbox-command"

BASE_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "CI": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}

LONGEST_ARGUMENT = 120_000
"""Bytes. Linux takes single arguments below 32 pages (MAX_ARG_STRLEN in execve(2)): 128 KiB at the least."""

LARGEST_ENVIRONMENT = 1_000_000
"""Bytes. Arguments and environment together may take a quarter of the stack limit: 2 MiB of 8 (execve(2))."""

OPEN_FILES = (1024, 16384)
STACK = 8 * 1024 * 1024

READY = b"ready\n"

# The first line on standard output says that everything up to here worked, so that what bubblewrap, setpriv
# or prlimit complain of is never taken for the command's output. Then the command waits for a line on
# standard input: it starts only when the worker holds a handle on its namespace, and never when the
# worker has died in the meantime. `read` takes one byte at a time, so the command's own input stays whole.
# When the machine's memory ends, the kernel shall end the command and not the worker.
GATE = 'echo ready; read -r go || exit 1; echo 1000 2>/dev/null >/proc/self/oom_score_adj; exec "$@"'


def made_up_files(ids: tuple[int, int], command: bytes) -> dict[str, bytes]:
    """Files that the sandbox gets instead of the host's, by path."""
    uid, gid = ids
    files = {
        "/etc/passwd": (
            "root:x:0:0:root:/:/usr/sbin/nologin\n"
            f"sandbox:x:{uid}:{gid}:sandbox:{HOME}:/bin/sh\n"
            "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
        ).encode(),
        "/etc/group": f"root:x:0:\nsandbox:x:{gid}:\nnogroup:x:65534:\n".encode(),
        "/etc/hosts": b"127.0.0.1 localhost sandbox\n::1 localhost sandbox\n",
        "/etc/hostname": b"sandbox\n",
        "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files dns\n",
    }
    if len(command) > LONGEST_ARGUMENT:
        files[COMMAND_FILE] = command
    return files


def command_bytes(command: str) -> bytes:
    """The command as the shell gets it.

    Raises:
        InvalidInputError: it holds a NUL or a lone surrogate, which no program can be given.
    """
    if "\0" in command:
        raise InvalidInputError("The command holds a NUL character; a shell cannot be given one: take it out.")
    try:
        return command.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"The command is not valid Unicode at character {error.start}: write that character as UTF-8."
        ) from error


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a command: what every sandbox has, then `extra`, which wins.

    Raises:
        InvalidInputError: a name or a value that an environment cannot hold.
    """
    size = 0
    for name, value in extra.items():
        if not name or "=" in name or "\0" in name + value:
            raise InvalidInputError(
                f"The environment variable {name!r} cannot be set: a name is not empty and has no `=`, "
                "and neither a name nor a value has a NUL character."
            )
        try:
            length = len(f"{name}={value}".encode())
        except UnicodeEncodeError as error:
            raise InvalidInputError(f"The environment variable {name!r} is not valid Unicode.") from error
        size += length
        if length > LONGEST_ARGUMENT or size > LARGEST_ENVIRONMENT:
            raise InvalidInputError(
                f"The environment variable {name!r} makes the environment too large: the limit is "
                f"{LONGEST_ARGUMENT} bytes each and {LARGEST_ENVIRONMENT} in all. Put the text into a file."
            )
    return BASE_ENVIRONMENT | dict(extra)


def limit_options(limits: SandboxLimits, hard: Mapping[str, int]) -> list[str]:
    """Options of prlimit(1). Address space is left alone: V8 and Go reserve far more than they use."""
    wanted = {
        "data": (limits.memory, limits.memory),
        "nproc": (limits.processes, limits.processes),
        "fsize": (limits.file_size, limits.file_size),
        "core": (0, 0),
        "nofile": OPEN_FILES,
        # A stack is not counted as data, so its ceiling is the memory limit too.
        "stack": (min(STACK, limits.memory), limits.memory),
    }
    return [
        f"--{name}={_clamped(soft, hard[name])}:{_clamped(ceiling, hard[name])}"
        for name, (soft, ceiling) in wanted.items()
    ]


def inner_command(host: Host, programs: Programs, limits: SandboxLimits, command: bytes) -> list[bytes | str]:
    """What bubblewrap starts: become the sandbox's user, take on the limits, wait at the gate, run."""
    script: bytes | str = command if len(command) <= LONGEST_ARGUMENT else f". {COMMAND_FILE}"
    return [
        *(_drop_root(host, programs) if host.is_root else []),
        *[programs.prlimit, *limit_options(limits, host.hard_limits)],
        *["/bin/sh", "-c", GATE, "sh", "/bin/sh", "-c", script],
    ]


def options(
    host: Host,
    *,
    tree: str,
    env: Mapping[str, str],
    files: Iterable[tuple[int, str]],
    tmpfs_size: int | None,
) -> list[str]:
    """The options of bwrap(1), without the command.

    Args:
        tree: host path of the folder that becomes /work.
        files: (file descriptor to read, path inside) of made-up files.
        tmpfs_size: bytes that /tmp and /dev/shm may each take, or None when it cannot be set.
    """
    size = [] if tmpfs_size is None else ["--size", str(tmpfs_size)]
    return [
        *_namespaces(host),
        *["--ro-bind", "/usr", "/usr"],
        *_flat(["--symlink", target, path] for target, path in host.links),
        *_flat(["--ro-bind", path, path] for path in host.folders),
        # Left to bubblewrap, these would be for their maker only.
        *_flat(["--perms", "0755", "--dir", path] for path in _parents((*host.etc, COMMAND_FILE))),
        *_flat(["--ro-bind", path, path] for path in host.etc),
        *_flat(["--perms", "0644", "--file", str(fd), path] for fd, path in files),
        *["--proc", "/proc", "--dev", "/dev"],
        *["--perms", "1777", *size, "--tmpfs", "/dev/shm"],  # noqa: S108
        *["--perms", "1777", *size, "--tmpfs", "/tmp"],  # noqa: S108
        # Open to all because bubblewrap makes it as root, and the sandbox has only one user.
        *["--perms", "0777", "--dir", HOME],
        *["--bind", tree, WORK, "--remount-ro", "/dev", "--remount-ro", "/"],
        *_flat(["--setenv", name, value] for name, value in env.items()),
        *["--chdir", WORK],
    ]


def _namespaces(host: Host) -> list[str]:
    # As root the user namespace is left out, because root inside it would still be root on the host's files;
    # setpriv changes the user instead, which takes these capabilities and gives them all up.
    user = (
        ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
        if host.is_root
        else ["--unshare-user"]
    )
    return [
        *user,
        *["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup"],
        *["--hostname", "sandbox", "--new-session", "--die-with-parent"],
    ]


def _drop_root(host: Host, programs: Programs) -> list[str]:
    uid, gid = host.sandbox_ids
    return [
        *[programs.setpriv, "--reuid", str(uid), "--regid", str(gid), "--clear-groups"],
        *["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"],
    ]


def _parents(paths: Iterable[str]) -> list[str]:
    """All folders above the paths but the root, outer ones first."""
    return sorted({str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"/"})


def _clamped(wanted: int, hard: int) -> int:
    return wanted if hard < 0 else min(wanted, hard)


def _flat(groups: Iterable[Sequence[str]]) -> list[str]:
    return [word for group in groups for word in group]

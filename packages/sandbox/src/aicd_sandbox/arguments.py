"""From limits and facts to the command line of one bubblewrap; nothing here touches the machine."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from aicd_core.contracts import CacheMount, SandboxLimits
from aicd_core.errors import InvalidInputError
from aicd_sandbox.host import Host
from aicd_sandbox.programs import Programs

WORK = "/work"
HOME = "/tmp/home"  # noqa: S108  (a folder of the sandbox's own private /tmp)
SERVER_FILE = "/etc/command-server.py"
CACHE = "/cache"
PROXY = "http://127.0.0.1:3128"
"""Where the command server listens for the egress proxy, inside."""

BASE_ENVIRONMENT = {
    "PATH": f"/usr/local/bin:/usr/bin:/bin:{HOME}/.local/bin",
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "CI": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
}
"""What every command has, in every kind of sandbox.

Left alone, pip refuses to install on a Debian (https://peps.python.org/pep-0668/). Here it can break nothing: the
system is read-only, so it installs below HOME, which goes with the sandbox.
"""

LONGEST_ARGUMENT = 120_000
"""Bytes. Linux takes single arguments below 32 pages (MAX_ARG_STRLEN in execve(2)): 128 KiB at the least."""

LARGEST_ENVIRONMENT = 1_000_000
"""Bytes. Arguments and environment together may take a quarter of the stack limit: 2 MiB of 8 (execve(2))."""

OPEN_FILES = (1024, 16384)
STACK = 8 * 1024 * 1024

CACHE_ENVIRONMENT = {"AICD_CACHE": CACHE, "GOMODCACHE": f"{CACHE}/go", "CARGO_HOME": f"{CACHE}/cargo"}
"""Tools that read their cache also where they cannot write to it."""

CACHE_SETUP_ENVIRONMENT = {
    "PIP_CACHE_DIR": f"{CACHE}/pip",
    "UV_CACHE_DIR": f"{CACHE}/uv",
    "npm_config_cache": f"{CACHE}/npm",
    "YARN_CACHE_FOLDER": f"{CACHE}/yarn",
}
"""Tools that fail, or go without, where their cache cannot be written."""

PROXY_ENVIRONMENT = {
    **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), PROXY),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1"),
}


def made_up_files(ids: tuple[int, int], server: bytes) -> dict[str, bytes]:
    """Files that the sandbox gets instead of the host's, by path."""
    uid, gid = ids
    return {
        "/etc/passwd": (
            "root:x:0:0:root:/:/usr/sbin/nologin\n"
            f"sandbox:x:{uid}:{gid}:sandbox:{HOME}:/bin/sh\n"
            "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
        ).encode(),
        "/etc/group": f"root:x:0:\nsandbox:x:{gid}:\nnogroup:x:65534:\n".encode(),
        "/etc/hosts": b"127.0.0.1 localhost sandbox\n::1 localhost sandbox\n",
        "/etc/hostname": b"sandbox\n",
        "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files dns\n",
        SERVER_FILE: server,
    }


def require_runnable(command: str) -> None:
    """Refuses what no shell can be given.

    Raises:
        InvalidInputError: it holds a NUL or a lone surrogate, which no program can be given.
    """
    if "\0" in command:
        raise InvalidInputError("The command holds a NUL character; a shell cannot be given one: take it out.")
    try:
        command.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"The command is not valid Unicode at character {error.start}: write that character as UTF-8."
        ) from error


def environment(own: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a command: what every sandbox has, what this one has, then `extra`, which wins.

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
    return {**BASE_ENVIRONMENT, **own, **extra}


def limit_options(limits: SandboxLimits, hard: Mapping[str, int], *, grouped: bool) -> list[str]:
    """Options of prlimit(1). Address space is left alone: V8 and Go reserve far more than they use.

    Args:
        grouped: a control group counts the sandbox's processes. Without one the kernel counts those of the sandbox's
            user, in all sandboxes together.
    """
    wanted = {
        "data": (limits.memory, limits.memory),
        **({} if grouped else {"nproc": (limits.processes, limits.processes)}),
        "fsize": (limits.file_size, limits.file_size),
        "core": (0, 0),
        "nofile": OPEN_FILES,
        # A stack is not counted as data, so its ceiling is the memory limit too.
        "stack": (min(STACK, limits.memory), limits.memory),
    }
    return [
        f"--{name}={clamped(soft, hard[name])}:{clamped(ceiling, hard[name])}"
        for name, (soft, ceiling) in wanted.items()
    ]


def inner_command(host: Host, programs: Programs, limits: SandboxLimits, channel: int, *, grouped: bool) -> list[str]:
    """What bubblewrap starts: become the sandbox's user, take on the limits, serve commands."""
    return [
        *(_drop_root(host, programs) if host.is_root else []),
        *[programs.prlimit, *limit_options(limits, host.hard_limits, grouped=grouped)],
        *[programs.python, "-I", "-S", "-B", SERVER_FILE, str(channel)],
    ]


def options(
    host: Host,
    *,
    tree: str,
    cache: CacheMount | None,
    files: Iterable[tuple[int, str]],
    tmpfs_size: int | None,
) -> list[str]:
    """The options of bwrap(1), without the command.

    Args:
        tree: host path of the folder that becomes /work.
        cache: the folder that becomes /cache.
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
        *_flat(["--perms", "0755", "--dir", path] for path in _parents((*host.etc, SERVER_FILE))),
        *_flat(["--ro-bind", path, path] for path in host.etc),
        *_flat(["--perms", "0644", "--file", str(fd), path] for fd, path in files),
        *["--proc", "/proc", "--dev", "/dev"],
        *["--perms", "1777", *size, "--tmpfs", "/dev/shm"],  # noqa: S108
        *["--perms", "1777", *size, "--tmpfs", "/tmp"],  # noqa: S108
        # Open to all because bubblewrap makes it as root, and the sandbox has only one user.
        *["--perms", "0777", "--dir", HOME],
        *([] if cache is None else ["--bind" if cache.writable else "--ro-bind", str(cache.folder), CACHE]),
        *["--bind", tree, WORK, "--remount-ro", "/dev", "--remount-ro", "/"],
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
        *["--hostname", "sandbox", "--new-session", "--die-with-parent", "--as-pid-1"],
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


def clamped(wanted: int, hard: int) -> int:
    """A limit that can be set: at most the hard one, where -1 is none."""
    return wanted if hard < 0 else min(wanted, hard)


def _flat(groups: Iterable[Sequence[str]]) -> list[str]:
    return [word for group in groups for word in group]

"""The system calls that no command gets: those that reach past the sandbox's walls or far into the kernel.

A list of what is refused, not of what is allowed: compilers, package managers and test runners use nearly all the rest,
and a call that an allow-list does not know yet fails in ways that look like defects of the code under test.
"""

import errno
import importlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from aicd_sandbox.programs import unavailable

REFUSED = (
    # Other processes' memory and descriptors.
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
    # The kernel's keyrings belong to users, not to namespaces.
    *("keyctl", "add_key", "request_key"),
    # Mounts and namespaces.
    *("mount", "umount2", "pivot_root", "chroot", "setns", "move_mount", "open_tree", "mount_setattr"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "statmount", "listmount", "open_tree_attr"),
    # Files by handle pass by every folder's permissions; quotas, accounting and watches are the machine's.
    *(
        "open_by_handle_at",
        "name_to_handle_at",
        "quotactl",
        "quotactl_fd",
        "acct",
        "fanotify_init",
        "swapon",
        "swapoff",
    ),
    # The kernel itself.
    *("bpf", "perf_event_open", "userfaultfd", "kexec_load", "kexec_file_load", "lookup_dcookie"),
    *("init_module", "finit_module", "delete_module", "reboot", "syslog", "nfsservctl", "uselib", "vhangup"),
    *("iopl", "ioperm", "modify_ldt", "migrate_pages", "move_pages", "memfd_secret"),
    # The machine's clock.
    *("settimeofday", "clock_settime", "adjtimex", "clock_adjtime"),
)
ABSENT = ("io_uring_setup", "io_uring_enter", "io_uring_register", "clone3")
"""Answered as by a kernel without them, so that programs fall back: libuv on epoll, glibc on clone."""

NUMBERS = {"open_tree_attr": 467, "statmount": 457, "listmount": 458}
"""Calls newer than the libseccomp of Debian 12; such numbers are the same on all architectures."""

NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of clone(2)."""
NEW_TIME_NAMESPACE = 0x00000080
"""CLONE_NEWTIME; in clone(2)'s flags the same bit is part of the exit signal."""

SOCKETS = frozenset({1, 2, 10, 16})
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK. A vsock leads to the hypervisor from any network namespace."""
SOCKET_FAMILIES = 64

TIOCSTI = 0x5412
"""Types into the terminal."""

INSTALL = "install it with `sudo apt-get install libseccomp2` (Fedora, RHEL: `sudo dnf install libseccomp`)"


@dataclass(frozen=True)
class Rule:
    """A call that is answered with an error; with a comparison, only where one argument fits."""

    call: str
    error: int
    argument: int | None = None
    mask: int | None = None
    """None compares for `at least value`."""
    value: int = 0


def rules() -> Iterator[Rule]:
    """Every refusal, in one list for all that enforce it."""
    yield from (Rule(call, errno.EPERM) for call in REFUSED)
    yield from (Rule(call, errno.ENOSYS) for call in ABSENT)
    for flag in NAMESPACES:
        yield Rule("clone", errno.EPERM, 0, flag, flag)
    for flag in (*NAMESPACES, NEW_TIME_NAMESPACE):
        yield Rule("unshare", errno.EPERM, 0, flag, flag)
    for family in sorted(set(range(SOCKET_FAMILIES)) - SOCKETS):
        yield Rule("socket", errno.EAFNOSUPPORT, 0, 2**64 - 1, family)
    # The kernel looks at 32 bits, the filter at 64: whatever is set above is refused here.
    yield Rule("socket", errno.EAFNOSUPPORT, 0, None, SOCKET_FAMILIES)
    yield Rule("ioctl", errno.EPERM, 1, 2**32 - 1, TIOCSTI)


@cache
def filter_program() -> bytes:
    """The rules as a program for the kernel, for this machine's architecture; calls of any other end the process.

    Raises:
        UnavailableError: `sandbox_unavailable`; there is no libseccomp.
    """
    library = _library()
    program = library.SyscallFilter(library.ALLOW)
    for rule in rules():
        call = NUMBERS.get(rule.call, rule.call)
        if isinstance(call, str) and library.resolve_syscall(library.system_arch(), call) < 0:
            continue  # a call that this architecture never had
        program.add_rule(library.ERRNO(rule.error), call, *_comparison(library, rule))
    with tempfile.TemporaryFile() as file:
        program.export_bpf(file)
        file.seek(0)
        return file.read()


def _comparison(library: Any, rule: Rule) -> tuple[Any, ...]:
    if rule.argument is None:
        return ()
    if rule.mask is None:
        return (library.Arg(rule.argument, library.GE, rule.value),)
    return (library.Arg(rule.argument, library.MASKED_EQ, rule.mask, rule.value),)


def _library() -> Any:
    """pyseccomp, loaded when first needed: it looks for libseccomp while it loads, and fails where there is none."""
    try:
        return importlib.import_module("pyseccomp")
    except (ImportError, OSError, RuntimeError) as error:
        raise unavailable(f"The sandbox needs the library libseccomp, which is not installed: {INSTALL}.") from error

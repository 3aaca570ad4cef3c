"""What of this machine a sandbox is built from: the caller's user, the system's folders, hard limits."""

import os
import pwd
import resource
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SERVICE_USER = "aicd-sandbox"
"""The account that commands run as when the caller is root."""

NUMBERS_WITHOUT_ACCOUNT = (65533, 65533)
"""(uid, gid) where no account can be made: next to `nobody` (65534), which file servers and user namespaces already
use for other people's files, and above what distributions hand out to accounts."""

SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")

# What programs need to find libraries, interpreters, certificates and names. Nothing here holds accounts,
# passwords or a package index's address; /etc/ssl/private and /etc/pki/tls/private stay outside.
ETC = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/perl",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)

# A Java runtime in /usr is mostly links into its folder here.
ETC_PATTERNS = ("java-*-openjdk",)

HARD_LIMITS = {
    "core": resource.RLIMIT_CORE,
    "data": resource.RLIMIT_DATA,
    "fsize": resource.RLIMIT_FSIZE,
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
    "stack": resource.RLIMIT_STACK,
}


@dataclass(frozen=True)
class Host:
    """Facts about the machine and the caller; paths are absolute."""

    uid: int
    gid: int
    service: tuple[int, int]
    """(uid, gid) of the account that root's commands run as."""
    links: tuple[tuple[str, str], ...]
    """(target, path) of system folders that are symbolic links."""
    folders: tuple[str, ...]
    """System folders beside /usr that are folders of their own."""
    etc: tuple[str, ...]
    hard_limits: dict[str, int]
    """Hard resource limits by prlimit's names; -1 is no limit. They can be lowered, never raised."""

    @property
    def is_root(self) -> bool:
        return self.uid == 0

    @property
    def sandbox_ids(self) -> tuple[int, int]:
        """(uid, gid) of the commands: root's are another user's, everybody else's their own."""
        return self.service if self.is_root else (self.uid, self.gid)


@cache
def service_ids() -> tuple[int, int]:
    """(uid, gid) of the account that root runs commands as; made when it is not there, which takes root."""
    with suppress(KeyError):
        return _account()
    with suppress(OSError):
        words = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVICE_USER]
        subprocess.run(words, capture_output=True, check=False)
    try:
        return _account()
    except KeyError:
        return NUMBERS_WITHOUT_ACCOUNT


def _account() -> tuple[int, int]:
    account = pwd.getpwnam(SERVICE_USER)
    return account.pw_uid, account.pw_gid


def read_host() -> Host:
    """Looks at the machine; a few dozen file status calls."""
    links, folders = [], []
    for name in SYSTEM_LINKS:
        path = Path(name)
        if path.is_symlink():
            links.append((str(path.readlink()), name))
        elif path.is_dir():
            folders.append(name)
    etc = [name for name in ETC if Path(name).exists()]
    etc += [str(path) for pattern in ETC_PATTERNS for path in sorted(Path("/etc").glob(pattern))]
    return Host(
        uid=os.geteuid(),
        gid=os.getegid(),
        service=service_ids() if os.geteuid() == 0 else NUMBERS_WITHOUT_ACCOUNT,
        links=tuple(links),
        folders=tuple(folders),
        etc=tuple(etc),
        hard_limits={name: resource.getrlimit(which)[1] for name, which in HARD_LIMITS.items()},
    )

"""Who the embedded Postgres runs as, and what that user may see of the machine."""

import os
import pwd
import stat
import subprocess
from pathlib import Path

from aicd_core.errors import UnavailableError

SERVICE_USER = "aicd-postgres"


def own_folder(folder: Path) -> None:
    """Makes a private folder of the server's; refuses one that somebody else put there."""
    owner = service_account().pw_uid if os.geteuid() == 0 else os.geteuid()
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid not in {owner, os.geteuid()} or not stat.S_ISDIR(found.st_mode):
        raise UnavailableError(
            f"{folder} belongs to another user, and the embedded Postgres will not use it. Remove it."
        )
    folder.chmod(0o700)
    os.chown(folder, owner, -1)


def give_to_server(folder: Path) -> None:
    """Makes a folder, with all that is in it, the server's own."""
    owner = service_account().pw_uid if os.geteuid() == 0 else os.geteuid()
    for place, _, names in os.walk(folder):
        for path in (Path(place), *(Path(place, name) for name in names)):
            os.chown(path, owner, -1, follow_symlinks=False)
    folder.chmod(0o700)


def service_account() -> pwd.struct_passwd:
    """The account that root runs the server as; made when it is not there."""
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVICE_USER]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            return pwd.getpwnam(SERVICE_USER)
        except KeyError:
            raise UnavailableError(
                f"The embedded Postgres needs the account {SERVICE_USER}, and it could not be made: "
                f"{done.stderr.strip()}. Make it, run aicd as a normal user, or set AICD_DATABASE_URL."
            ) from None


def in_mount_namespace(binaries: Path, cluster: Path, socket: Path, words: list[str]) -> list[str]:
    """The command line that runs `words` as the service account with only the named folders added to /mnt.

    The programs look for their libraries beside the wheel's own folder, so the folder above that is shown.
    """
    account = service_account()
    packages = binaries.parents[2]
    script = (
        "mount -t tmpfs -o mode=755 aicd /mnt && mkdir /mnt/install /mnt/data /mnt/socket && "
        'mount --bind "$1" /mnt/install && mount --bind "$2" /mnt/data && mount --bind "$3" /mnt/socket && '
        "cd /mnt/data && shift 3 && "
        f'exec setpriv --reuid {account.pw_uid} --regid {account.pw_gid} --clear-groups -- "$@"'
    )
    inside = [f"/mnt/install/{binaries.relative_to(packages)}/{Path(words[0]).name}", *words[1:]]
    prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    return [*prefix, str(packages), str(cluster), str(socket), *inside]

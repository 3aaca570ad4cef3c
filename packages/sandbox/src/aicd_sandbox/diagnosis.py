"""Why a sandbox does not start here, and what to type."""

import os
from dataclasses import dataclass
from pathlib import Path

SYSCTLS = Path("/proc/sys")
CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


@dataclass(frozen=True)
class Restrictions:
    """What the kernel and a surrounding container forbid, as far as one can see without trying."""

    no_user_namespaces: bool
    """`user.max_user_namespaces` is 0."""
    debian_switch_off: bool
    """`kernel.unprivileged_userns_clone` is 0."""
    apparmor: bool
    """`kernel.apparmor_restrict_unprivileged_userns` is 1, as in Ubuntu 24.04 and later."""
    in_container: bool


def read_restrictions(sysctls: Path = SYSCTLS) -> Restrictions:
    """Reads the settings; one that this kernel does not have restricts nothing."""
    return Restrictions(
        no_user_namespaces=_setting(sysctls / "user/max_user_namespaces") == "0",
        debian_switch_off=_setting(sysctls / "kernel/unprivileged_userns_clone") == "0",
        apparmor=_setting(sysctls / "kernel/apparmor_restrict_unprivileged_userns") == "1",
        # podman's mark is hidden where the root is read-only; the variable is a convention that it keeps, too.
        in_container="container" in os.environ or any(mark.exists() for mark in CONTAINER_MARKS),
    )


def explain(complaint: str, restrictions: Restrictions, *, is_root: bool) -> str:
    """The message for a sandbox that did not start.

    Args:
        complaint: what bubblewrap, setpriv or prlimit said.
    """
    said = complaint[-500:] or "it ended without a word"
    return f"The sandbox could not be started ({said}). {_remedy(said, restrictions, is_root=is_root)}"


def _remedy(said: str, restrictions: Restrictions, *, is_root: bool) -> str:
    if restrictions.in_container:
        return (
            "AI-CD runs in a container that may not make sandboxes of its own; start the container with "
            "`--security-opt seccomp=docker/seccomp.json --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined`, as docker/compose.yml does, and as root inside of it with "
            "`--cap-add SYS_ADMIN --cap-add NET_ADMIN` as well."
        )
    if not is_root and restrictions.no_user_namespaces:
        return "User namespaces are switched off; type `sudo sysctl -w user.max_user_namespaces=15000`."
    if not is_root and restrictions.debian_switch_off:
        return "Only root may make user namespaces; type `sudo sysctl -w kernel.unprivileged_userns_clone=1`."
    if not is_root and restrictions.apparmor:
        return (
            "AppArmor forbids user namespaces to ordinary programs; type `sudo sysctl -w "
            "kernel.apparmor_restrict_unprivileged_userns=0`, or give bwrap a profile that allows `userns`."
        )
    if "Permission denied" in said or "Operation not permitted" in said:
        return (
            "This system forbids namespaces to this user: allow them (systemd: no RestrictNamespaces= on the "
            "service; SELinux, AppArmor: a profile for bwrap), then type `aicd doctor`."
        )
    return "Put right what it says, then type `aicd doctor`."


def _setting(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None

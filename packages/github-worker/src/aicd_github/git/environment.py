"""What a git process may see of this machine: nothing that was not put here on purpose."""

from collections.abc import Mapping
from enum import StrEnum

_NEVER_ASKS = "ssh -o BatchMode=yes"

_CONSTANT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    # Git knows this from 2.45 on, and with the fixes that 2.39.4 came with; what holds for all is that no transport may
    # be used that the call is not about.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    # libcurl would take passwords from ~/.netrc, git its settings from ~/.config.
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
}

_WEB_VARIABLES = (
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
)

SETTINGS: tuple[str, ...] = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    # receive-pack and fetch would run what the repository's own config names here.
    "core.alternateRefsCommand=true",
    "core.quotePath=false",
    "core.autocrlf=false",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.precomposeUnicode=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.untrackedCache=false",
    "diff.ignoreSubmodules=all",
    # A blob larger than this is streamed through git, never held in memory.
    "core.bigFileThreshold=32m",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "gc.auto=0",
    "maintenance.auto=false",
    "receive.autogc=false",
    "advice.detachedHead=false",
    "credential.helper=",
    "core.askPass=",
    # Git's own default, written down: it also keeps a server's http-alternates from naming other servers.
    "http.followRedirects=initial",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "protocol.ext.allow=never",
)
"""`git -c` settings of every call. They win over the configuration of any repository."""

ANY_OWNER = "safe.directory=*"
"""Lets git open a repository of another user: all that its configuration could run is switched off above."""


class Transport(StrEnum):
    """How the other side of a fetch or push is reached."""

    FILE = "file"
    WEB = "web"
    SSH = "ssh"


NO_TRANSPORT = "GIT_ALLOW_PROTOCOL=none"
"""No other repository can be reached, whatever a repository's configuration asks for: an object that is missing is an
error, and never fetched (https://git-scm.com/docs/partial-clone#_fetching_missing_objects)."""

_PROTOCOLS = {None: "none", Transport.FILE: "file", Transport.WEB: "http:https", Transport.SSH: "ssh"}


def git_environment(parent: Mapping[str, str], transport: Transport | None) -> dict[str, str]:
    """The whole environment of one git process.

    Args:
        parent: this process's own environment, from which only what the transport needs is taken.
        transport: None when no other repository is involved.
    """
    kept: tuple[str, ...] = ("PATH",)
    if transport is Transport.SSH:
        kept = ("PATH", "SSH_AUTH_SOCK")
    elif transport is Transport.WEB:
        kept = ("PATH", *_WEB_VARIABLES)
    environment = _CONSTANT | {name: parent[name] for name in kept if name in parent}
    if "SSL_CERT_FILE" in environment:
        # Python and OpenSSL read this variable. Debian's git has GnuTLS, which does not.
        environment.setdefault("GIT_SSL_CAINFO", environment["SSL_CERT_FILE"])
    environment["GIT_ALLOW_PROTOCOL"] = _PROTOCOLS[transport]
    environment.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    if transport is Transport.SSH:
        environment["GIT_SSH_COMMAND"] = _NEVER_ASKS
    return environment


def setting_flags(extra: tuple[str, ...] = ()) -> list[str]:
    """`-c name=value` for all of `SETTINGS` and `extra`."""
    return [part for setting in (*SETTINGS, *extra) for part in ("-c", setting)]

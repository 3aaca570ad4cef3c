"""Finding out what a job is to start from: a path on this machine or a plain git URL."""

import hashlib
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_github.git.credentials import Credentials
from aicd_github.git.environment import ANY_OWNER, NO_TRANSPORT, SETTINGS, Transport
from aicd_github.git.layout import ObjectFormat
from aicd_github.git.remote import Remote
from aicd_github.git.runner import Git, GitCall

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://|^[a-z][a-z0-9+.-]*::")
_SCP_LIKE = re.compile(r"^(?:[^/@:\s]+@)?[^/@:\s]+:(?!//)")
_WEB = frozenset({"http", "https"})


@dataclass(frozen=True)
class LocalSource:
    """A repository on this machine.

    Args:
        folder: what the user named, absolute; `HEAD` and the work tree are seen from here.
        git_dir: where its branches and objects are (of a linked work tree: the main repository's).
        bare: it has no work tree.
        form: its hash function.
    """

    folder: Path
    git_dir: Path
    bare: bool
    form: ObjectFormat

    @property
    def key(self) -> str:
        """A name for everything that is kept about this repository."""
        return _key(str(self.git_dir))

    @property
    def display(self) -> str:
        return str(self.folder)

    def remote(self) -> Remote:
        """How to fetch from it and push to it without running anything that its configuration names."""
        owner = self.git_dir.stat()
        # As the owner, git reads through alternates only what the owner may read.
        prefix = _as_owner(owner.st_uid, owner.st_gid, self.git_dir)
        return Remote(
            url=str(self.git_dir),
            transport=Transport.FILE,
            upload_pack=_service("upload-pack", prefix),
            receive_pack=_service("receive-pack", prefix),
        )


@dataclass(frozen=True)
class UrlSource:
    """A repository behind a URL.

    Args:
        known_as: what stands for it where several URLs name the same one.
    """

    url: str
    transport: Transport
    known_as: str | None = None

    @property
    def key(self) -> str:
        """A name for everything that is kept about this repository."""
        return _key(self.known_as or self.url)

    @property
    def display(self) -> str:
        return self.url

    def remote(self, credentials: Credentials | None = None) -> Remote:
        """How to fetch from it and push to it; credentials are for the web only."""
        return Remote(
            url=self.url,
            transport=self.transport,
            credentials=credentials if self.transport is Transport.WEB else None,
        )


Source = LocalSource | UrlSource


def _key(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _service(program: str, prefix: tuple[str, ...]) -> str:
    flags = [part for setting in (*SETTINGS, ANY_OWNER) for part in ("-c", setting)]
    return shlex.join([*prefix, "env", NO_TRANSPORT, "git", *flags, program])


def _as_owner(uid: int, gid: int, git_dir: Path) -> tuple[str, ...]:
    """Root must not leave files of its own in another user's repository: they would lock that user out."""
    if os.geteuid() != 0 or uid == 0:
        return ()
    if shutil.which("setpriv") is None:
        raise UnavailableError(
            f"{git_dir} belongs to user {uid}, and writing to it as root would lock that user out. Run AI-CD as "
            "that user, or install setpriv (Debian: apt install util-linux).",
            code="dubious_owner",
        )
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")


async def open_local_source(source: str, git: Git) -> Source:
    """What `source` names: a folder of a repository on this machine, or a git URL.

    A bare repository, a shallow one, a linked work tree and any folder inside of a repository will do.
    A URL is only taken apart here; whether it answers shows at the first fetch.

    Raises:
        InvalidInputError: `path_not_found`, `not_a_repository`, `unsupported_url`, `credentials_in_url`.
    """
    if not source:
        raise InvalidInputError("No repository was named. Give its path or URL.", code="not_a_repository")
    if source.lower().startswith("file://"):
        return await _open_folder(_existing_folder(_file_url_path(source)), git)
    if _SCHEME.match(source):
        return _open_url(source)
    if _SCP_LIKE.match(source) and not _exists(source):
        return UrlSource(source, Transport.SSH)
    return await _open_folder(_existing_folder(Path(source)), git)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def _file_url_path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise InvalidInputError(
            f"{url} names the host {parts.netloc!r}; a file URL has three slashes: file:///path.",
            code="unsupported_url",
        )
    return Path(unquote(parts.path))


def _open_url(url: str) -> UrlSource:
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.hostname
        has_login = "@" in parts.netloc if scheme in _WEB else parts.password is not None
    except ValueError as error:
        raise InvalidInputError(f"{url!r} is not a URL: {error}.", code="unsupported_url") from error
    if has_login:
        raise InvalidInputError(
            "The URL carries a user name or password, which would end up in logs and process lists. Take it out; "
            "for a private repository use ssh with an agent, or clone it and name the clone's path.",
            code="credentials_in_url",
        )
    if (scheme not in _WEB and scheme != "ssh") or not host:
        raise InvalidInputError(
            f"{url!r} is not a repository that can be used: give a path or an http, https, ssh or file URL.",
            code="unsupported_url",
        )
    return UrlSource(url.rstrip("/"), Transport.SSH if scheme == "ssh" else Transport.WEB)


def _existing_folder(path: Path) -> Path:
    # Not resolve(): the path that is shown should be the one that was given.
    folder = Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111
    if _exists(str(folder)) and folder.is_dir():
        return folder
    if _exists(str(folder)):
        raise InvalidInputError(
            f"{folder} is a file, not a repository. Name the folder that holds the repository.",
            code="not_a_repository",
        )
    raise InvalidInputError(
        f"The path {folder} does not exist, or may not be looked at. Check its spelling.", code="path_not_found"
    )


async def _open_folder(folder: Path, git: Git) -> LocalSource:
    call = GitCall(
        ("rev-parse", "--git-common-dir", "--is-bare-repository", "--show-object-format"),
        cwd=folder,
        settings=(ANY_OWNER,),
    )
    result = await git.run(call)
    if result.returncode != 0:
        said = result.stderr.strip()
        if "not a git repository" not in said:
            raise InvalidInputError(f"{folder} cannot be read as a repository. Git says: {said}", code="bad_repository")
        raise InvalidInputError(
            f"{folder} is not in a git repository. Name one, or make one there: git init, then commit.",
            code="not_a_repository",
        )
    common, bare, form = result.text().rsplit("\n", 2)
    return LocalSource(
        folder=folder,
        git_dir=(folder / common).resolve(),
        bare=bare == "true",
        form="sha256" if form == "sha256" else "sha1",
    )

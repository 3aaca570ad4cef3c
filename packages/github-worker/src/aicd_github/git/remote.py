"""How git reaches another repository, and what it may take from it."""

from dataclasses import dataclass

from aicd_github.git.credentials import Access, Credentials, Login
from aicd_github.git.environment import Transport

REMOTE = "aicd"
"""What a repository behind a URL is called while git fetches from it."""


@dataclass(frozen=True)
class Remote:
    """How git reaches the repository that is mirrored.

    Args:
        url: what git is told: an absolute path or a URL.
        transport: what the git process may know.
        upload_pack: the program that serves a fetch, for a repository on this machine.
        receive_pack: the program that takes a push, likewise.
        credentials: makes a password for each fetch and push, for a web repository that asks for one.
    """

    url: str
    transport: Transport
    upload_pack: str | None = None
    receive_pack: str | None = None
    credentials: Credentials | None = None

    @property
    def is_far(self) -> bool:
        """Whether it is behind a URL, so that each byte of it travels."""
        return self.transport is not Transport.FILE

    def settings(self) -> tuple[str, ...]:
        """What makes git take a part of the repository, for the length of one run: nothing of it is written down."""
        if not self.is_far:
            return ()
        remote = f"remote.{REMOTE}"
        return (f"{remote}.url={self.url}", f"{remote}.promisor=true", f"{remote}.partialCloneFilter=blob:none")

    async def login(self, access: Access) -> Login | None:
        """A login for the next run of git.

        Raises:
            UnavailableError: no credential can be had now.
        """
        return None if self.credentials is None else Login(self.url, await self.credentials.mint(access))

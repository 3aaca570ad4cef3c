"""Passwords for git: made right before they are needed, for one repository, and told to nobody but git.

Git asks for a password by running the program that `GIT_ASKPASS` names
(https://git-scm.com/docs/gitcredentials). The secret waits in a pipe that git and its children inherit: it is in no
argument, no environment variable and no file, can be taken out once, and is gone when git has ended.
"""

import os
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_github.git.askpass import DESCRIPTOR, ORIGIN, origin_of

_PROGRAM = "aicd-git-askpass"
_PIPE_HOLDS = 4096  # bytes that a pipe takes at once on any Linux


class Access(StrEnum):
    """What a credential must allow, and nothing beyond it."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True)
class Credential:
    """A user name and a password or token. The secret shows in no representation."""

    username: str
    secret: str = field(repr=False)


class Credentials(Protocol):
    """Makes credentials for the one repository that it was made for."""

    async def mint(self, access: Access) -> Credential:
        """A credential for the next fetch or push; called right before it, and again for the one after.

        Raises:
            UnavailableError: none can be had now.
        """
        ...


@dataclass(frozen=True)
class Questions:
    """How git can ask: environment variables, and descriptors that it inherits."""

    variables: Mapping[str, str]
    descriptors: tuple[int, ...]


@dataclass(frozen=True)
class Login:
    """A credential for one run of git, good for one origin (scheme, host and port) only.

    Args:
        url: of the repository, http or https.
    """

    url: str
    credential: Credential

    def settings(self) -> tuple[str, ...]:
        """`-c` settings of the run: who asks, and that the server cannot send the question elsewhere."""
        return (f"credential.username={self.credential.username}", "http.followRedirects=false")

    @contextmanager
    def questions(self) -> Iterator[Questions]:
        """Lets git ask once while the block runs.

        Raises:
            UnavailableError: code `askpass_missing`.
            InvalidInputError: code `bad_credential`.
        """
        answer = _checked(self.credential).encode() + b"\n"
        program = Path(sysconfig.get_path("scripts"), _PROGRAM)
        if not os.access(program, os.X_OK):
            raise UnavailableError(
                f"{program} is missing, without which git cannot be told a password. Install AI-CD again.",
                code="askpass_missing",
            )
        reading, writing = os.pipe()
        try:
            os.write(writing, answer)
            os.close(writing)
            variables = {"GIT_ASKPASS": str(program), ORIGIN: origin_of(self.url), DESCRIPTOR: str(reading)}
            yield Questions(variables, (reading,))
        finally:
            os.close(reading)


def _checked(credential: Credential) -> str:
    for part in (credential.username, credential.secret):
        if not part or not part.isprintable() or len(part.encode()) >= _PIPE_HOLDS:
            raise InvalidInputError(
                "A git credential needs a user name and a secret, each one line of printable characters.",
                code="bad_credential",
            )
    return credential.secret

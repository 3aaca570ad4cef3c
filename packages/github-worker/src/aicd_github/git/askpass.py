"""The program that git asks for a password. It answers for one origin, once.

Git runs it with its question as the only argument, such as `Password for 'https://name@host': `
(https://git-scm.com/docs/gitcredentials). Every other question ends with exit code 1.
"""

import os
import re
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

ORIGIN = "AICD_GIT_ORIGIN"
DESCRIPTOR = "AICD_GIT_SECRET_FD"

_QUESTION = re.compile(r"Password for '([^']+)': ")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST = 4096


def origin_of(url: str) -> str:
    """Scheme, host and port, the same for every way to write them.

    Raises:
        ValueError: the URL has no such parts.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https URL")
    return f"{scheme}://{parts.hostname.lower()}:{parts.port or _DEFAULT_PORTS[scheme]}"


def is_for(question: str, origin: str) -> bool:
    """Whether git asks for the password of this very origin."""
    asked = _QUESTION.fullmatch(question)
    try:
        return asked is not None and origin_of(asked.group(1)) == origin
    except ValueError:
        return False


def answer(question: str, environment: Mapping[str, str]) -> bytes | None:
    """The secret, taken out of its pipe; None when it is not for whoever asks, or was given already."""
    if not is_for(question, environment.get(ORIGIN, "")):
        return None
    return os.read(int(environment[DESCRIPTOR]), _LONGEST) or None


def main() -> int:
    """Answers the question of the command line on standard output."""
    secret = answer(sys.argv[1] if len(sys.argv) > 1 else "", os.environ)
    if secret is None:
        return 1
    sys.stdout.buffer.write(secret)
    return 0

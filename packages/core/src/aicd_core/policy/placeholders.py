"""Telling a credential from what stands in for one in examples and tests."""

import re

_TAIL = 16
_FEWEST_IN_TAIL = 6
"""Different characters among the last 16 of a real token: random hex has fewer in 1 of 25,000 cases."""

_EXAMPLE = re.compile(r"example|placeholder|redacted|dummy|your[-_]?(?:api|key|token|secret)|x{8}|\*{3}", re.IGNORECASE)

_TEMPLATE = re.compile(r"[$%{}<>*]|^\.{3,}$")

_STOCK_WORDS = frozenset(
    {
        *("admin", "changeme", "demo", "example", "foo", "bar", "guest", "hunter2", "mysql", "pass", "passwd"),
        *("password", "postgres", "pw", "pwd", "redis", "root", "secret", "test", "token", "user", "username"),
    }
)

_LOCAL_HOST = re.compile(
    r"(?:localhost|127(?:\.\d{1,3}){3}|0\.0\.0\.0|\[?::1|(?:[\w-]+\.)*(?:example(?:\.\w+)?|test|invalid|localhost|local))\.?(?::\d*)?",
    re.IGNORECASE,
)
"""Loopback, and names that lead nowhere (RFC 2606, RFC 6761)."""


def is_placeholder(token: str) -> bool:
    """True for a token that says of itself that it is none, or is too regular to be random."""
    return len(set(token[-_TAIL:])) < _FEWEST_IN_TAIL or _EXAMPLE.search(token) is not None


def is_placeholder_login(user: str, word: str, host: str) -> bool:
    """True for `user:word@host` of a URL when the password is a template or a stock word, or the host nobody's."""
    return (
        not host
        or word.lower() in _STOCK_WORDS
        or word.lower() == user.lower()
        or len(set(word)) == 1
        or _TEMPLATE.search(word) is not None
        or _EXAMPLE.search(word) is not None
        or _LOCAL_HOST.fullmatch(host) is not None
    )

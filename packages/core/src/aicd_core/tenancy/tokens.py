"""Secrets that we hand out: API keys, links of invitations, logins.

A token reads `aicd_<kind>_<prefix><secret><checksum>` with an underscore after the prefix: a scanner knows it by its
look, the prefix may be shown, and the checksum tells a mistyped one before the database is asked. The form follows
https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from enum import StrEnum

from aicd_core.errors import UnauthenticatedError

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
"""Base 62, in the order of its digits."""
PREFIX_LENGTH = 8
SECRET_LENGTH = 32
"""Characters of the secret: 190 bits."""
CHECKSUM_LENGTH = 6
"""62 ** 6 is the first power of 62 that holds a CRC-32."""


class TokenKind(StrEnum):
    """What a token is good for; the word stands in the token itself."""

    API_KEY = "key"
    INVITATION = "inv"
    SESSION = "ses"


_FORM = re.compile(
    rf"aicd_(?P<kind>{'|'.join(TokenKind)})_(?P<prefix>[0-9A-Za-z]{{{PREFIX_LENGTH}}})"
    rf"_[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}"
)


@dataclass(frozen=True, eq=False)
class Token:
    """A secret of ours. Neither `repr` nor `str` shows it, and it has no `==`: compare hashes with `same_hash`."""

    kind: TokenKind
    prefix: str
    _text: str = field(repr=False)

    def reveal(self) -> str:
        """The token itself: to be shown to its owner once, and never stored or logged."""
        return self._text


def new_token(kind: TokenKind) -> Token:
    """A fresh random token."""
    prefix, secret = _random(PREFIX_LENGTH), _random(SECRET_LENGTH)
    body = f"aicd_{kind.value}_{prefix}_{secret}"
    return Token(kind, prefix, body + checksum(body))


def parse_token(text: str, kind: TokenKind) -> Token:
    """The token that a caller handed in.

    Raises:
        UnauthenticatedError: not of our form, of another kind, or its checksum is wrong. The message holds nothing
            of the text.
    """
    found = _FORM.fullmatch(text)
    if found is None or not hmac.compare_digest(checksum(text[:-CHECKSUM_LENGTH]), text[-CHECKSUM_LENGTH:]):
        raise UnauthenticatedError(
            f"That is no token of ours: a whole one begins with aicd_{kind.value}_ and ends with a checksum. "
            "Copy it again, all of it.",
            code="malformed_token",
        )
    if found["kind"] != kind.value:
        raise UnauthenticatedError(
            f"That token begins with aicd_{found['kind']}_; one that begins with aicd_{kind.value}_ is wanted here.",
            code="wrong_token_kind",
        )
    return Token(kind, found["prefix"], text)


def hash_token(token: Token) -> bytes:
    """SHA-256 of the token, which is all that is stored. Random secrets of 190 bits need no slow hash and no salt."""
    return hashlib.sha256(token.reveal().encode()).digest()


def same_hash(one: bytes, other: bytes) -> bool:
    """Whether two hashes are equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(one, other)


def checksum(body: str) -> str:
    """CRC-32 of an ASCII text as six digits of base 62."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))

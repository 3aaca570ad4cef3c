"""E-mail addresses: what is one, and when two are the same. Pure."""

import re
import string

from aicd_core.errors import InvalidInputError
from aicd_core.text import printable, require_text

EMAIL_MOST = 320
"""64 for the local part, the at sign, 255 for the domain (RFC 5321, 4.5.3.1)."""
_SHAPE = re.compile(r"[^@\s]+@[^@\s]+")
_FOLD = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def require_email(text: str) -> str:
    """The address itself, if it may be one. Only a letter sent to it proves more.

    Raises:
        InvalidInputError: not of the form name@domain, too long, or with characters that cannot be seen.
    """
    require_text(text, "The e-mail address", most=EMAIL_MOST, least=3)
    if not _SHAPE.fullmatch(text) or printable(text) != text:
        raise InvalidInputError(
            "The e-mail address must look like name@example.com, without spaces or invisible characters.",
            code="bad_email",
        )
    return text


def same_email(one: str, other: str) -> bool:
    """Whether two addresses are the same but for the case of ASCII letters.

    Other letters are compared exactly: Unicode's case folding makes look-alikes equal (U+212A, the Kelvin sign, becomes
    a plain k), and whoever owns the one address would get what belongs to the other.
    """
    return one.translate(_FOLD) == other.translate(_FOLD)

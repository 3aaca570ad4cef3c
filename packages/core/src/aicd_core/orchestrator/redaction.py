"""Masking what must not leave this installation in a file: credentials by their look, secrets by their value. Pure."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from aicd_core.contracts.values import Value
from aicd_core.errors import InvalidInputError
from aicd_core.policy.credential_formats import Format, all_formats
from aicd_core.settings import Settings

ValueT = TypeVar("ValueT", bound=Value)

SHORTEST = 8
"""Characters of a secret that is looked for; a shorter one stands in half of all texts by chance."""
REMEMBERED = 1 << 16
_SECRET_NAME = re.compile(r"(?:KEYS?|TOKEN|SECRETS?|PASSWORD|PASSWD|CREDENTIALS?)$")
_KEY_BLOCK = re.compile(
    r"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----(?:(?!-----).){0,20000}-----END \1-----", re.DOTALL
)
_LINE_ENDS = re.compile(r"(\\n|\n)")
"""Also as JSON writes them."""
_BREAKS = re.compile(r"(\\(?:u001[bB]\[[0-9;]*m|u[0-9a-fA-F]{4}|[bfrt])|\x1b\[[0-9;]*m)")
"""Colours, and JSON's escapes of other characters: their last letter is no part of the word that follows."""


class Redaction:
    """Masks texts. What is masked once is not masked again, and equal texts are masked alike.

    Args:
        secrets: values that are masked wherever they stand, also as JSON writes them, or JSON within JSON.
        patterns: regular expressions of what is masked besides the formats of known credentials; they see a line at a
            time.

    Raises:
        InvalidInputError: code `bad_pattern`: one is no regular expression, or matches nothing at all.
    """

    def __init__(self, secrets: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        self.patterns = tuple(patterns)
        self._own = tuple(map(_compiled, self.patterns))
        written = {form for secret in secrets if len(secret) >= SHORTEST for form in _as_written(secret)}
        self._secrets = sorted(written, key=lambda form: (-len(form), form))
        self._line = lru_cache(REMEMBERED)(self._masked_line)

    def text(self, text: str) -> str:
        """A text without what is masked."""
        for secret in self._secrets:
            text = text.replace(secret, "[redacted: a secret]")
        text = _KEY_BLOCK.sub("[redacted: a private key]", text)
        return "".join(map(self._line, _LINE_ENDS.split(text)))

    def bytes(self, content: bytes) -> bytes:
        """The same for bytes, whatever their encoding."""
        # What is no UTF-8 becomes lone surrogates, which become the same bytes again (PEP 383).
        return self.text(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def value(self, value: ValueT) -> ValueT:
        """A value whose texts are masked."""
        return type(value).model_validate(self._within(value.model_dump()))

    def _within(self, part: Any) -> Any:
        match part:
            case str():
                return self.text(part) if type(part) is str else part  # an enumeration's value is a word of ours
            case bytes():
                return self.bytes(part)
            case Mapping():
                return {name: self._within(inner) for name, inner in part.items()}
            case list() | tuple():
                return type(part)(map(self._within, part))
            case _:
                return part

    def _masked_line(self, line: str) -> str:
        line = _masked_formats(line)
        if len(parts := _BREAKS.split(line)) > 1:  # once more: a password may itself hold what looks like an escape
            line = "".join(map(_masked_formats, parts))
        for own in self._own:
            line = own.sub("[redacted]", line)
        return line


def redaction_of(settings: Settings, environment: Mapping[str, str], patterns: Iterable[str] = ()) -> Redaction:
    """What this process masks: secrets of its environment and settings, and the patterns of AICD_REDACT_PATTERNS.

    Args:
        environment: variables of the process; those are secret whose name ends like that of a key, token or password.
        patterns: more of them, such as those that a cassette was masked with.
    """
    named = [value for name, value in environment.items() if _SECRET_NAME.search(name.upper())]
    keys = [key.get_secret_value() for key in (settings.secret_keys, settings.signing_keys) if key is not None]
    single = [part.rpartition(":")[2] for value in keys for part in value.split(",")]
    return Redaction([*named, *keys, *single], dict.fromkeys([*settings.redact_patterns, *patterns]))


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InvalidInputError(
            f"The pattern {pattern!r} of AICD_REDACT_PATTERNS is no regular expression: {error}. Mend it.",
            code="bad_pattern",
        ) from error
    if compiled.search("") is not None:
        raise InvalidInputError(
            f"The pattern {pattern!r} of AICD_REDACT_PATTERNS matches even an empty text. Have it match what is to be "
            "masked only.",
            code="bad_pattern",
        )
    return compiled


def _as_written(secret: str) -> Iterable[str]:
    """The secret itself, as JSON writes it, and as JSON within JSON writes it."""
    for ascii_only in (True, False):
        form = secret
        for _ in range(3):
            yield form
            form = json.dumps(form, ensure_ascii=ascii_only)[1:-1]


def _masked_formats(text: str) -> str:
    for format_ in all_formats():
        for pattern in format_.patterns:
            text = pattern.sub(_mask_of(format_), text)
    return text


def _mask_of(format_: Format) -> Callable[[re.Match[str]], str]:
    return lambda match: f"[redacted: {format_.kind}]" if format_.genuine(match) else match.group()

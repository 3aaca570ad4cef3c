"""Masking what must not leave this installation: credentials by their look, secrets by their value."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, unquote

from pydantic import BaseModel, SecretStr

from aicd_core.contracts.values import Value
from aicd_core.errors import InvalidInputError
from aicd_core.policy.credential_formats import Format, all_formats, passwords_of_urls
from aicd_core.settings import Settings, secret_files

ValueT = TypeVar("ValueT", bound=Value)

SHORTEST = 8
"""Characters of a secret that is looked for; a shorter one stands in half of all texts by chance."""
REMEMBERED = 1 << 16
"""Lines whose masked form is kept: of the texts of a job, each call of a model repeats those of the calls before."""
_SECRET_NAME = re.compile(r"(?:KEYS?|TOKEN|SECRETS?|PASSWORD|PASSWD|CREDENTIALS?)$")
_HEADERS_NAME = re.compile(r"OTEL_EXPORTER_OTLP_(?:TRACES_)?HEADERS")
_KEY_BLOCK = re.compile(
    r"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----(?:(?!-----).){0,20000}-----END \1-----", re.DOTALL
)
_LINE_ENDS = re.compile(r"(\\n|\n)")
"""Also as JSON writes them."""
_BREAKS = re.compile(r"(\\(?:u001[bB]\[[0-9;]*m|u[0-9a-fA-F]{4}|[bfrt])|\x1b\[[0-9;]*m)")
"""Colours, and JSON's escapes of other characters: their last letter is no part of the word that follows."""
_CODED = re.compile(r"[\w+/=-]{16,}", re.ASCII)
_SENT = re.compile(
    r"(authorization\W{1,6}(?:b[\"'])?(?:basic|bearer|token)\s{1,3})(?!\[redacted)[\w+/.~=-]{8,}",
    re.ASCII | re.IGNORECASE,
)
"""A header with a credential (RFC 7617, RFC 6750), as an HTTP client's error or a `repr` shows it."""


class Redaction:
    """Masks texts. What is masked once is not masked again, and equal texts are masked alike.

    Args:
        secrets: values that are masked wherever they stand, also as JSON, URLs, base64 and hexadecimal digits write
            them; of several lines, each one.
        patterns: regular expressions of what is masked besides the formats of known credentials; they see a line at a
            time.
        remembered: lines whose masked form is kept.

    Raises:
        InvalidInputError: code `bad_pattern`: one is no regular expression, or matches nothing at all.
    """

    def __init__(
        self, secrets: Iterable[str] = (), patterns: Iterable[str] = (), *, remembered: int = REMEMBERED
    ) -> None:
        self.patterns = tuple(patterns)
        self._own = tuple(map(_compiled, self.patterns))
        wanted = {part for secret in secrets for part in _with_lines(secret) if len(part) >= SHORTEST}
        written = {form for secret in wanted for form in _as_written(secret)}
        self._secrets = sorted(written, key=lambda form: (-len(form), form))
        self._line = lru_cache(remembered)(self._masked_line)

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
        line = _SENT.sub(r"\1[redacted: a credential]", _masked_formats(line))
        if len(parts := _BREAKS.split(line)) > 1:  # once more: a password may itself hold what looks like an escape
            line = "".join(map(_masked_formats, parts))
        for own in self._own:
            line = own.sub("[redacted]", line)
        return line


def redaction_of(
    settings: Settings, environment: Mapping[str, str], patterns: Iterable[str] = (), *, remembered: int = REMEMBERED
) -> Redaction:
    """What this process masks: secrets of its environment, settings and secret files, and AICD_REDACT_PATTERNS.

    Passwords in URLs are secrets, too, unless they are such as everybody has.

    Args:
        environment: variables of the process; those are secret whose name ends like that of a key, token or password.
        patterns: more of them, such as those that a cassette was masked with.
        remembered: as `Redaction` has it.
    """
    variables = [*environment.items(), *secret_files().items()]
    named = [value for name, value in variables if _SECRET_NAME.search(name.upper())]
    sent = [word for name, value in variables if _HEADERS_NAME.fullmatch(name.upper()) for word in _sent_in(value)]
    others = [*_secrets_in([value for _, value in variables]), *_secrets_in(settings)]
    masked = dict.fromkeys([*settings.redact_patterns, *patterns])
    return Redaction([*named, *sent, *others], masked, remembered=remembered)


def _sent_in(headers: str) -> Iterator[str]:
    """What `name=value,…` has a request carry: each value, and what follows such a word as `Bearer` in it."""
    for header in headers.split(","):
        value = unquote(header.partition("=")[2]).strip()
        yield value
        yield value.rpartition(" ")[2]


def _secrets_in(value: Any) -> Iterator[str]:
    """Of a setting's value: what is declared as secret, as a whole and each of several, and passwords of URLs."""
    match value:
        case SecretStr():
            text = value.get_secret_value()
            yield text
            for part in text.split(","):
                yield part
                yield part.rpartition(":")[2]
        case str():
            for word in passwords_of_urls(value):
                yield word
                yield unquote(word)
        case BaseModel():
            for _, inner in value:
                yield from _secrets_in(inner)
        case list() | tuple():
            for inner in value:
                yield from _secrets_in(inner)


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


def _with_lines(secret: str) -> Iterator[str]:
    """A secret and, where it has several lines, such as a key's file, each that is one word of base64."""
    yield secret
    if len(lines := secret.split("\n")) > 1:
        yield from (line for line in map(str.strip, lines) if _CODED.fullmatch(line))


def _as_written(secret: str) -> Iterator[str]:
    """The secret itself, as JSON writes it, as JSON within JSON, and as other places do that have their own letters."""
    for ascii_only in (True, False):
        form = secret
        for _ in range(3):
            yield form
            form = json.dumps(form, ensure_ascii=ascii_only)[1:-1]
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    raw = secret.encode("utf-8", "surrogateescape")
    yield raw.hex()
    for before in range(3):
        yield from _in_base64(raw, before)


def _in_base64(raw: bytes, before: int) -> Iterator[str]:
    """What is always the same of a secret within base64, after so many other bytes: 6 bits are a letter."""
    first, after = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(bytes(before) + raw).decode()[first:after]


def _masked_formats(text: str) -> str:
    for format_ in all_formats():
        for pattern in format_.patterns:
            text = pattern.sub(_mask_of(format_), text)
    return text


def _mask_of(format_: Format) -> Callable[[re.Match[str]], str]:
    return lambda match: f"[redacted: {format_.kind}]" if format_.genuine(match) else match.group()

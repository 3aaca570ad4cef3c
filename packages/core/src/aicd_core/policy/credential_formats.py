"""What credentials look like, kind by kind, as data."""

import base64
import importlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from aicd_core.policy.placeholders import is_placeholder, is_placeholder_login

Genuine = Callable[[re.Match[str]], bool]


@dataclass(frozen=True)
class Format:
    """One kind of credential. `genuine` tells a match that is one from one that only looks so."""

    kind: str
    patterns: tuple[re.Pattern[str], ...]
    certain: bool
    genuine: Genuine

    def occurs_in(self, text: str) -> bool:
        """True when a pattern matches somewhere; cheaper than `is_in`, and never false when that is true."""
        return any(pattern.search(text) for pattern in self.patterns)

    def is_in(self, line: str) -> bool:
        """True when the line holds a genuine one."""
        return any(self.genuine(match) for pattern in self.patterns for match in pattern.finditer(line))


def _not_a_placeholder(match: re.Match[str]) -> bool:
    return not is_placeholder(match.group())


def _a_real_login(match: re.Match[str]) -> bool:
    return not is_placeholder_login(match["user"], match["word"], match["host"])


def _a_real_web_token(match: re.Match[str]) -> bool:
    """Whether header and claims are base64url of JSON (RFC 7519), and not those of the token everybody copies."""
    header, claims, *_ = (_from_base64url(part) for part in match.group().split("."))
    try:
        return bool(json.loads(header)) and bool(json.loads(claims)) and _SAMPLE_SUBJECT not in claims
    except (ValueError, RecursionError):
        return False


def _from_base64url(text: str) -> bytes:
    """The decoded bytes; of text that is not base64url, nothing."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


_SAMPLE_SUBJECT = b'"1234567890"'
"""The subject of the sample token on jwt.io, which stands in documentation and tests everywhere."""

_LIBRARY = (
    ("an AWS access key", "aws", "AWSKeyDetector", True),
    ("a GitHub token", "github_token", "GitHubTokenDetector", True),
    ("a GitLab token", "gitlab_token", "GitLabTokenDetector", True),
    ("a Stripe key", "stripe", "StripeDetector", True),
    ("a Slack token or webhook", "slack", "SlackDetector", True),
    ("an Azure storage key", "azure_storage_key", "AzureStorageKeyDetector", True),
    ("a SendGrid key", "sendgrid", "SendGridDetector", True),
    ("a Square secret", "square_oauth", "SquareOAuthDetector", True),
    ("a PyPI token", "pypi_token", "PypiTokenDetector", True),
    ("a Mailchimp key", "mailchimp", "MailchimpDetector", False),
    ("a Twilio key", "twilio", "TwilioKeyDetector", False),
    ("a Telegram bot token", "telegram_token", "TelegramBotTokenDetector", False),
    ("a Discord bot token", "discord", "DiscordBotTokenDetector", False),
)
"""What is found, then detect-secrets' module and class, then whether the format is distinctive."""

_URL_PART = r"[^\s:/?#@\[\]\"'<>]{1,256}"

# Formats that the library lacks, and those for which its pattern takes quadratic time on one long line
# (JWT, npm, OpenAI), with which whoever wrote the issue could stall a worker.
_OWN: tuple[tuple[str, str, Genuine], ...] = (
    ("a GitHub token", r"github_pat_\w{22}_\w{59}", _not_a_placeholder),
    ("an Anthropic key", r"sk-ant-[a-z]{2,10}\d\d-[\w-]{80,}", _not_a_placeholder),
    ("an OpenAI key", r"(?<![\w-])sk-[\w-]{17,200}?T3BlbkFJ[\w-]{20,}", _not_a_placeholder),
    ("an OpenAI key", r"[\w-]{20}T3BlbkFJ[\w-]{20}", _not_a_placeholder),
    ("a Google API key", r"(?<!\w)AIza[\w-]{35}(?![\w-])", _not_a_placeholder),
    ("an npm token", r"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)", _not_a_placeholder),
    ("an npm token", r":_authToken=[A-Fa-f0-9]{8}(?:-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}", _not_a_placeholder),
    ("a JSON Web Token", r"(?<![\w.-])eyJ[\w-]{8,}\.eyJ[\w-]{2,}\.[\w-]+", _a_real_web_token),
    ("a token of AI-CD", r"(?<!\w)aicd_(?:key|inv|ses)_\w{8}_\w{38}(?!\w)", _not_a_placeholder),
    ("a password in a URL", rf"://(?P<user>{_URL_PART}):(?P<word>{_URL_PART})@(?P<host>\[?[\w.:-]*)", _a_real_login),
)

_URL_LOGIN = re.compile(_OWN[-1][1], re.ASCII)

KEY_HEADER = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d:")
"""The first line of a private key's file (RFC 7468, RFC 9580, PuTTY)."""

KEY_BODY = re.compile(r"(?=[A-Za-z+/]{0,39}[0-9])(?=[a-z0-9+/]{0,39}[A-Z])(?=[A-Z0-9+/]{0,39}[a-z])[A-Za-z0-9+/]{40}")
"""What a line of a private key's body holds: 40 characters of base64, which no path or identifier mixes so."""


@cache
def all_formats() -> tuple[Format, ...]:
    """Every format but private keys, which span lines.

    The library is loaded at the first call: loading it takes longer than all the rest of our start.
    """
    library = (
        Format(kind, _library_patterns(module, name), certain, _not_a_placeholder)
        for kind, module, name, certain in _LIBRARY
    )
    own = (Format(kind, (re.compile(pattern, re.ASCII),), True, genuine) for kind, pattern, genuine in _OWN)
    return (*library, *own)


def passwords_of_urls(text: str) -> tuple[str, ...]:
    """The passwords that stand in the text's URLs, unless they are such as everybody has."""
    found = _URL_LOGIN.finditer(text)
    return tuple(match["word"] for match in found if not is_placeholder_login(match["user"], match["word"], "host"))


def _library_patterns(module: str, name: str) -> tuple[re.Pattern[str], ...]:
    return tuple(getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name).denylist)

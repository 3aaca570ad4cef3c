"""One call of GitHub's REST API, through githubkit, which nothing else imports.

Answers are read as raw JSON: githubkit's models are stricter than GitHub, and one that fails after a pull request was
made would have it made again. Neither retries nor its HTTP cache are used: what may be repeated depends on the effect
(`effects.py`), and the cache keeps every body in memory for good.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from githubkit import AppAuthStrategy, GitHub, TokenAuthStrategy, UnauthAuthStrategy
from githubkit.cache import MemCacheStrategy
from githubkit.config import Config, get_config
from githubkit.exception import RateLimitExceeded, RequestError, RequestFailed

_USER_AGENT = "AI-CD"
_TIMEOUT = 30.0
_UNTOLD_WAIT = 60.0
"""Seconds to wait where a limit does not say how long: GitHub's own advice."""


@dataclass(frozen=True)
class AppKey:
    """An App's number and its private key in PEM, which shows in no representation."""

    app_id: int
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class Secret:
    """A token, which shows in no representation."""

    value: str = field(repr=False)


Login = AppKey | Secret | None


@dataclass(frozen=True)
class Question:
    """A call. `path` begins with a slash, or is a whole address; `etag` is that of the answer that is known already."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    params: Mapping[str, str | int] = field(default_factory=dict)
    etag: str | None = None


@dataclass(frozen=True)
class Answer:
    """What GitHub said, well or badly. `wait`: seconds that a rate limit asks for; None when none was met."""

    status: int
    data: Any
    headers: Mapping[str, str]
    wait: float | None = None

    @property
    def ok(self) -> bool:
        return self.status < 300 or self.status == 304

    @property
    def message(self) -> str:
        """What GitHub says is wrong, on one line."""
        if not isinstance(self.data, dict):
            return f"status {self.status}"
        told = [str(self.data.get("message", f"status {self.status}"))]
        errors = self.data.get("errors")
        told += [_told(error) for error in errors] if isinstance(errors, list) else []
        return " ".join("; ".join(told).split())[:400]


class UnheardError(Exception):
    """No answer came: whether the call took effect is not known."""


class Api:
    """GitHub's API at one base URL.

    Args:
        timeout: seconds to wait for the server at any one point of a call.
    """

    def __init__(self, base_url: str, timeout: float = _TIMEOUT) -> None:
        self.base_url = base_url
        self._config: Config = get_config(
            base_url=base_url,
            user_agent=_USER_AGENT,
            follow_redirects=False,
            timeout=timeout,
            ssl_verify=httpx.create_ssl_context(),  # made once: it takes longer than a call
            cache_strategy=MemCacheStrategy(),  # the default one is shared by all
            http_cache=False,
            auto_retry=False,
        )

    async def ask(self, question: Question, login: Login) -> Answer:
        """One call, once.

        Raises:
            UnheardError: the server cannot be reached, or did not answer in time.
        """
        headers = {} if question.etag is None else {"If-None-Match": question.etag}
        try:
            found = await GitHub(_strategy(login), config=self._config).arequest(
                question.method,
                question.path.removeprefix("/"),
                params=dict(question.params) or None,
                json=question.body,
                headers=headers,
            )
        except RateLimitExceeded as error:
            return _answer(error.response.raw_response, error.retry_after.total_seconds())
        except RequestFailed as error:
            return _answer(error.response.raw_response, None)
        except RequestError as error:
            raise UnheardError(f"{error.exc}" or type(error.exc).__name__) from error
        except ValueError as error:  # a limit whose end is no number
            raise UnheardError(f"an answer that cannot be read ({error})") from error
        return _answer(found.raw_response, None)

    async def fetch(self, url: str, most: int) -> bytes:
        """The end of what an address gives to anybody, such as one that an answer redirects to: at most so many bytes.

        No more than that is held at a time: whoever writes a workflow decides how long its log is.

        Raises:
            UnheardError: it gives nothing.
        """
        try:
            http = httpx.AsyncClient(verify=self._config.ssl_verify, timeout=self._config.timeout)
            async with http as client, client.stream("GET", url) as found:
                found.raise_for_status()
                end = b""
                async for chunk in found.aiter_bytes():
                    end = (end + chunk)[-most:]
                return end
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnheardError(f"{error}" or type(error).__name__) from error


def _told(error: Any) -> str:
    return str(error.get("message") or error.get("code")) if isinstance(error, dict) else str(error)


def _strategy(login: Login) -> AppAuthStrategy | TokenAuthStrategy | UnauthAuthStrategy:
    if isinstance(login, AppKey):
        return AppAuthStrategy(login.app_id, login.private_key)
    return UnauthAuthStrategy() if login is None else TokenAuthStrategy(login.value)


def _answer(response: httpx.Response, wait: float | None) -> Answer:
    try:
        data = response.json() if response.content else None
    except (json.JSONDecodeError, UnicodeDecodeError):
        data = response.text
    if wait is None and response.status_code == 429:
        wait = _UNTOLD_WAIT
    return Answer(response.status_code, data, dict(response.headers), wait)

"""OpenAI, and whoever speaks its APIs, through its own SDK: the only module that imports it."""

from typing import Any, cast

import httpx2
import openai

from aicd_brain.models import openai_chat, openai_responses
from aicd_brain.models.access import Access
from aicd_brain.models.messages import Reply, Request, Tokens
from aicd_brain.models.provider import Fault, ProviderError, Wire, fault_of_status, retry_after_of

BASE_URL = "https://api.openai.com/v1"
LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})
VENDOR = "openai"
"""Of servers that speak its API as well: whose a server is, its address does not tell."""


class _Connection:
    """A client, made when something is sent: a replay needs no key."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._client: openai.AsyncOpenAI | None = None

    def client(self) -> openai.AsyncOpenAI:
        """The client. Retries are the gateway's, which counts them; the address is given, or the SDK looks for one."""
        if self._client is None:
            self._client = openai.AsyncOpenAI(
                api_key=self._access.secret(),
                base_url=self._access.base_url or BASE_URL,
                max_retries=0,
                timeout=httpx2.Timeout(self._access.stall, connect=min(self._access.stall, 10.0)),
            )
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


class ResponsesProvider:
    """A `Provider` for the responses API."""

    name = VENDOR

    def __init__(self, access: Access) -> None:
        self._connection = _Connection(access)

    def body(self, request: Request) -> Wire:
        return openai_responses.to_body(request)

    def reply(self, wire: Wire) -> Reply:
        return openai_responses.to_reply(wire)

    async def send(self, body: Wire) -> Wire:
        last: Wire = {}
        try:
            stream = await self._connection.client().responses.create(**body, stream=True)
            async with cast("openai.AsyncStream[Any]", stream) as events:
                async for event in events:
                    if event.type in LAST_EVENTS:
                        last = event.response.model_dump(mode="json", exclude_unset=True, warnings=False)
                    elif event.type == "error":
                        raise _told(event.code or "", event.message)
        except (openai.APIError, httpx2.HTTPError) as error:
            raise _failed(error, Tokens()) from error
        if not last:
            raise ProviderError(Fault.CUT_OFF, "the stream ended before the response did")
        if last.get("status") == "failed":
            inner = last.get("error") or {}
            raise _told(
                inner.get("code") or "", inner.get("message") or "", openai_responses.to_tokens(last.get("usage") or {})
            )
        return last

    async def close(self) -> None:
        await self._connection.close()


class ChatProvider:
    """A `Provider` for the chat completions API."""

    name = VENDOR

    def __init__(self, access: Access) -> None:
        self._connection = _Connection(access)

    def body(self, request: Request) -> Wire:
        return openai_chat.to_body(request)

    def reply(self, wire: Wire) -> Reply:
        return openai_chat.to_reply(wire)

    async def send(self, body: Wire) -> Wire:
        assembly = openai_chat.Assembly()
        try:
            stream = await self._connection.client().chat.completions.create(**body, stream=True)
            async with cast("openai.AsyncStream[Any]", stream) as chunks:
                async for chunk in chunks:
                    assembly.add(chunk.model_dump(mode="json", exclude_unset=True, warnings=False))
        except (openai.APIError, httpx2.HTTPError) as error:
            raise _failed(error, assembly.tokens()) from error
        return assembly.whole()

    async def close(self) -> None:
        await self._connection.close()


_STATUS_OF = {"rate_limit_exceeded": 429, "server_error": 500, "insufficient_quota": 429}
"""Statuses of the codes of error that can come in the middle of a stream."""


def _told(code: str, message: str, tokens: Tokens | None = None) -> ProviderError:
    """An error that came as an event, not as a status."""
    fault = fault_of_status(_STATUS_OF.get(code, 400), f"{code} {message}")
    return ProviderError(fault, message[:500], tokens=tokens)


def _failed(error: Exception, tokens: Tokens) -> ProviderError:
    if isinstance(error, openai.APIStatusError):
        fault = fault_of_status(error.status_code, f"{error.code} {error.message}")
        retry_after = retry_after_of(error.response.headers.get("retry-after"))
        return ProviderError(fault, error.message[:500], retry_after=retry_after)
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
        return _told(str(error.code or ""), error.message)
    cause = error.__cause__ or error
    cut = isinstance(cause, httpx2.RemoteProtocolError | httpx2.ReadError)
    fault = Fault.CUT_OFF if cut else Fault.UNREACHABLE
    return ProviderError(fault, f"{type(cause).__name__}: {cause}"[:500], tokens=tokens)

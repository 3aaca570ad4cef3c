"""Anthropic through its own SDK: the only module that imports it."""

import json
from typing import Any

import anthropic
import httpx2

from aicd_brain.models import anthropic_messages as wire_format
from aicd_brain.models.access import Access
from aicd_brain.models.anthropic_messages import Assembly
from aicd_brain.models.messages import Reply, Request
from aicd_brain.models.provider import Fault, ProviderError, Wire, fault_of_status, retry_after_of

BASE_URL = "https://api.anthropic.com"


class AnthropicProvider:
    """A `Provider` for the messages API. Its client is made when something is sent: a replay needs no key."""

    name = "anthropic"

    def __init__(self, access: Access) -> None:
        self._access = access
        self._client: anthropic.AsyncAnthropic | None = None

    def body(self, request: Request) -> Wire:
        return wire_format.to_body(request)

    def reply(self, wire: Wire) -> Reply:
        return wire_format.to_reply(wire)

    async def send(self, body: Wire) -> Wire:
        assembly = Assembly()
        try:
            # As `messages.create`, with the JSON as it is: that would copy the whole conversation to look for files in
            # it, and make each event an object of pydantic's of which we want the dictionary.
            async with await self._connected().post(
                "/v1/messages",
                content=json.dumps({**body, "stream": True}).encode(),
                cast_to=object,
                stream=True,
                stream_cls=anthropic.AsyncStream[Any],
            ) as events:
                async for event in events:
                    assembly.add(event)
        except anthropic.APIStatusError as error:
            raise _failed(error, assembly) from error
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise _broken(error, assembly) from error
        return assembly.whole()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    def _connected(self) -> anthropic.AsyncAnthropic:
        """The client. Retries are the gateway's, which counts them; the address is given, or the SDK looks for one."""
        if self._client is None:
            self._client = anthropic.AsyncAnthropic(
                api_key=self._access.secret(),
                base_url=self._access.base_url or BASE_URL,
                max_retries=0,
                # Calls are traced where they are journaled; nothing in the environment has the SDK do so as well.
                open_telemetry={"traces": False, "propagation": False},
                timeout=httpx2.Timeout(self._access.stall, connect=min(self._access.stall, 10.0)),
            )
        return self._client


def _failed(error: anthropic.APIStatusError, assembly: Assembly) -> ProviderError:
    """An error status, or an error event in the middle of a stream, which comes with the status 200."""
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error") if isinstance(body.get("error"), dict) else {}
    detail = str((inner or {}).get("message") or error.message)[:500]
    kind = str((inner or {}).get("type") or "")
    fault = fault_of_status(_STATUS_OF.get(kind, error.status_code), f"{kind} {detail}")
    retry_after = retry_after_of(error.response.headers.get("retry-after"))
    return ProviderError(fault, detail, retry_after=retry_after, tokens=assembly.tokens())


_STATUS_OF = {"overloaded_error": 529, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504}
"""Statuses of the types of error that can come in the middle of a stream (https://docs.claude.com/en/api/errors)."""


def _broken(error: Exception, assembly: Assembly) -> ProviderError:
    tokens = assembly.tokens()
    fault = Fault.CUT_OFF if tokens.prompt else Fault.UNREACHABLE
    cause = error.__cause__ or error
    return ProviderError(fault, f"{type(cause).__name__}: {cause}"[:500], tokens=tokens)

"""The vendors' wire formats, as their servers write them. Pure.

Each API gives what was asked, and the events of a stream that answers it: (event name, data), the name None where the
vendor sends none.
"""

import json
from collections.abc import Iterator
from typing import Any, Protocol

from aicd_brain.models import anthropic_messages
from aicd_brain.models.messages import Tokens
from aicd_brain.testing.scripts import Asked, Place

Event = tuple[str | None, dict[str, Any] | str]
PIECE = 40
"""Characters in each delta."""


class Api(Protocol):
    def asked(self, body: dict[str, Any]) -> Asked: ...

    def events(self, place: Place, model: str, number: int) -> Iterator[Event]: ...

    def whole(self, place: Place, model: str, number: int) -> dict[str, Any]:
        """The answer to a request that asks for no stream."""
        ...

    def error(self, status: int, detail: str) -> dict[str, Any]: ...

    def counted(self, place: Place, events_sent: int) -> Tokens:
        """What the vendor has told of its count when so many events of the stream were sent."""
        ...


def pieces(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def _without_marks(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_marks(inner) for name, inner in value.items() if name != "cache_control"}
    return [_without_marks(inner) for inner in value] if isinstance(value, list) else value


def _texts(messages: list[Any]) -> tuple[str, ...]:
    return tuple(json.dumps(_without_marks(message), sort_keys=True) for message in messages)


class AnthropicMessages:
    """`POST /v1/messages`."""

    def asked(self, body: dict[str, Any]) -> Asked:
        system = body.get("system", "")
        text = system if isinstance(system, str) else "".join(block["text"] for block in system)
        return Asked(text, _texts(body["messages"]), body["model"])

    def events(self, place: Place, model: str, number: int) -> Iterator[Event]:
        turn, tokens = place.turn, place.tokens
        usage = {
            "input_tokens": tokens.input,
            "cache_read_input_tokens": tokens.cached_input,
            "cache_creation_input_tokens": tokens.cache_write,
            "output_tokens": 1,
        }
        head = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": model, "content": []}
        start = {**head, "stop_reason": None, "stop_sequence": None, "usage": usage}
        yield "message_start", {"type": "message_start", "message": start}
        yield "ping", {"type": "ping"}
        blocks: list[tuple[dict[str, Any], str, str, str]] = []
        if turn.text:
            blocks.append(({"type": "text", "text": ""}, "text_delta", "text", turn.text))
        for at, call in enumerate(turn.calls):
            block = {"type": "tool_use", "id": f"toolu_{number}_{at}", "name": call.name, "input": {}}
            blocks.append((block, "input_json_delta", "partial_json", call.text()))
        for index, (block, kind, name, text) in enumerate(blocks):
            yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": block}
            for piece in pieces(text):
                delta = {"type": kind, name: piece}
                yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
            yield "content_block_stop", {"type": "content_block_stop", "index": index}
        stops = {"length": "max_tokens", "refusal": "refusal", None: "tool_use" if turn.calls else "end_turn"}
        ended: dict[str, Any] = {"stop_reason": stops[turn.stop], "stop_sequence": None}
        end = {"type": "message_delta", "delta": ended, "usage": {"output_tokens": tokens.output}}
        yield "message_delta", end
        yield "message_stop", {"type": "message_stop"}

    def whole(self, place: Place, model: str, number: int) -> dict[str, Any]:
        assembly = anthropic_messages.Assembly()
        for _, data in self.events(place, model, number):
            assert isinstance(data, dict), "every event is an object"
            assembly.add(data)
        message = assembly.whole()
        for block in message["content"]:
            if block["type"] == "tool_use":
                block["input"] = json.loads(block.pop(anthropic_messages.RAW_INPUT))
        return message

    def error(self, status: int, detail: str) -> dict[str, Any]:
        kinds = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error", 500: "api_error"}
        return {
            "type": "error",
            "error": {"type": kinds.get(status, "invalid_request_error"), "message": detail},
            "request_id": "req_scripted",
        }

    def counted(self, place: Place, events_sent: int) -> Tokens:
        return place.tokens.model_copy(update={"output": 1}) if events_sent else Tokens()


class OpenAIResponses:
    """`POST /v1/responses`."""

    def asked(self, body: dict[str, Any]) -> Asked:
        return Asked(body["instructions"], _texts(body["input"]), body["model"])

    def events(self, place: Place, model: str, number: int) -> Iterator[Event]:
        turn = place.turn
        response = {
            "id": f"resp_{number}",
            "object": "response",
            "created_at": 0,
            "status": "in_progress",
            "model": model,
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
        sequence = iter(range(1_000_000))
        created = {"type": "response.created", "sequence_number": next(sequence), "response": response}
        yield "response.created", created
        items = self._items(place, number)
        for index, item in enumerate(items):
            added = {"type": "response.output_item.added", "output_index": index, "item": item}
            yield "response.output_item.added", {**added, "sequence_number": next(sequence)}
            done = {"type": "response.output_item.done", "output_index": index, "item": item}
            yield "response.output_item.done", {**done, "sequence_number": next(sequence)}
        kind = "incomplete" if turn.stop == "length" else "completed"
        details = {"reason": "max_output_tokens"} if turn.stop == "length" else None
        usage = self._usage(place.tokens)
        whole = {**response, "status": kind, "output": items, "incomplete_details": details, "usage": usage}
        last = {"type": f"response.{kind}", "sequence_number": next(sequence), "response": whole}
        yield f"response.{kind}", last

    def _items(self, place: Place, number: int) -> list[dict[str, Any]]:
        turn = place.turn
        items: list[dict[str, Any]] = [
            {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": f"thought-{number}"}
        ]
        if turn.text:
            content: dict[str, Any] = {"type": "output_text", "text": turn.text, "annotations": []}
            if turn.stop == "refusal":
                content = {"type": "refusal", "refusal": turn.text}
            items.append(
                {
                    "type": "message",
                    "id": f"msg_{number}",
                    "role": "assistant",
                    "status": "completed",
                    "content": [content],
                }
            )
        for at, call in enumerate(turn.calls):
            names = {"id": f"fc_{number}_{at}", "call_id": f"call_{number}_{at}", "name": call.name}
            items.append({"type": "function_call", **names, "arguments": call.text(), "status": "completed"})
        return items

    def _usage(self, tokens: Tokens) -> dict[str, Any]:
        return {
            "input_tokens": tokens.prompt,
            "input_tokens_details": {"cached_tokens": tokens.cached_input, "cache_write_tokens": tokens.cache_write},
            "output_tokens": tokens.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens.prompt + tokens.output,
        }

    def whole(self, place: Place, model: str, number: int) -> dict[str, Any]:
        *_, (_, last) = self.events(place, model, number)
        assert isinstance(last, dict), "every event is an object"
        return dict(last["response"])

    def error(self, status: int, detail: str) -> dict[str, Any]:
        return _openai_error(status, detail)

    def counted(self, place: Place, events_sent: int) -> Tokens:
        return Tokens()


class OpenAIChat:
    """`POST /v1/chat/completions`."""

    def asked(self, body: dict[str, Any]) -> Asked:
        system, *rest = body["messages"]
        return Asked(system["content"], _texts(rest), body["model"])

    def events(self, place: Place, model: str, number: int) -> Iterator[Event]:
        turn = place.turn
        head = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 0, "model": model}

        def chunk(delta: dict[str, Any], finish: str | None = None) -> Event:
            return None, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

        yield chunk({"role": "assistant", "content": ""})
        name = "refusal" if turn.stop == "refusal" else "content"
        for piece in pieces(turn.text):
            yield chunk({name: piece})
        for at, call in enumerate(turn.calls):
            names = {"index": at, "id": f"call_{number}_{at}", "type": "function"}
            yield chunk({"tool_calls": [{**names, "function": {"name": call.name, "arguments": ""}}]})
            for piece in pieces(call.text()):
                yield chunk({"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
        yield chunk({}, "length" if turn.stop == "length" else "tool_calls" if turn.calls else "stop")
        yield None, {**head, "choices": [], "usage": self._usage(place.tokens)}
        yield None, "[DONE]"

    def _usage(self, tokens: Tokens) -> dict[str, Any]:
        return {
            "prompt_tokens": tokens.prompt,
            "prompt_tokens_details": {"cached_tokens": tokens.cached_input, "cache_write_tokens": tokens.cache_write},
            "completion_tokens": tokens.output,
            "total_tokens": tokens.prompt + tokens.output,
        }

    def whole(self, place: Place, model: str, number: int) -> dict[str, Any]:
        turn = place.turn
        calls = [
            {"id": f"call_{number}_{at}", "type": "function", "function": {"name": call.name, "arguments": call.text()}}
            for at, call in enumerate(turn.calls)
        ]
        message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
        choice = {"index": 0, "message": {**message, "tool_calls": calls} if calls else message}
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{**choice, "finish_reason": "tool_calls" if calls else "stop"}],
            "usage": self._usage(place.tokens),
        }

    def error(self, status: int, detail: str) -> dict[str, Any]:
        return _openai_error(status, detail)

    def counted(self, place: Place, events_sent: int) -> Tokens:
        return Tokens()


def _openai_error(status: int, detail: str) -> dict[str, Any]:
    codes = {401: "invalid_api_key", 429: "rate_limit_exceeded", 500: "server_error"}
    kind = "invalid_request_error" if status < 429 else "server_error"
    return {"error": {"message": detail, "type": kind, "param": None, "code": codes.get(status)}}


APIS: dict[str, Api] = {
    "/v1/messages": AnthropicMessages(),
    "/v1/responses": OpenAIResponses(),
    "/v1/chat/completions": OpenAIChat(),
}

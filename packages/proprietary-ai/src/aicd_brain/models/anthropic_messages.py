"""Anthropic's messages API as data: requests out, streamed events in. Pure.

https://docs.claude.com/en/api/messages and https://docs.claude.com/en/build-with-claude/streaming
"""

import json
from typing import Any

from aicd_brain.models.messages import Message, Native, Part, Reply, Request, Stop, Text, Tokens, ToolCall, ToolResult
from aicd_brain.models.provider import Fault, ProviderError, Wire

VENDOR = "anthropic"
CACHE = {"type": "ephemeral"}
STOPS = {
    "tool_use": Stop.TOOLS,
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "refusal": Stop.REFUSAL,
}
RAW_INPUT = "input_json"
"""Where an assembled `tool_use` block has the JSON text of its input: what was streamed need not be well-formed."""


def to_body(request: Request) -> Wire:
    """The request, with three marks up to which the vendor keeps the prompt.

    Behind the system prompt, which all jobs share with its tools; behind the first message, which all of a job's steps
    of one role share; and behind the last, up to which the next request is the same.
    """
    messages = [_message(message) for message in request.messages]
    for message in (messages[0], messages[-1]):
        message["content"][-1] = {**message["content"][-1], "cache_control": CACHE}
    return {
        "model": request.model,
        "max_tokens": request.max_output,
        "system": [{"type": "text", "text": request.system, "cache_control": CACHE}],
        "tools": [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ],
        "messages": messages,
    }


def _message(message: Message) -> Wire:
    blocks = [block for part in message.parts if (block := _block(part)) is not None]
    return {"role": message.role, "content": blocks or [{"type": "text", "text": "(nothing)"}]}


def _block(part: Part) -> Wire | None:
    match part:
        case Text():
            return {"type": "text", "text": part.text} if part.text.strip() else None
        case ToolCall():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": _input(part.arguments)}
        case ToolResult():
            result = {"type": "tool_result", "tool_use_id": part.call_id, "content": part.text}
            return {**result, "is_error": True} if part.failed else result
        case Native():
            return dict(json.loads(part.block)) if part.vendor == VENDOR else None


def _input(arguments: str) -> Wire:
    """An object, which the API insists on; what is none is quoted, so that the model sees what it had written."""
    try:
        value = json.loads(arguments)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"malformed": arguments}


def to_reply(wire: Wire) -> Reply:
    return Reply(
        message=Message(role="assistant", parts=tuple(_part(block) for block in wire["content"])),
        stop=STOPS.get(wire["stop_reason"], Stop.END),
        tokens=to_tokens(wire["usage"]),
    )


def _part(block: Wire) -> Part:
    if block["type"] == "text":
        return Text(text=block["text"])
    if block["type"] == "tool_use":
        return ToolCall(id=block["id"], name=block["name"], arguments=block[RAW_INPUT] or "{}")
    return Native(vendor=VENDOR, block=json.dumps(block, sort_keys=True))


def to_tokens(usage: Wire) -> Tokens:
    """The API's counters, which do not overlap either."""
    return Tokens(
        input=usage.get("input_tokens") or 0,
        cached_input=usage.get("cache_read_input_tokens") or 0,
        cache_write=usage.get("cache_creation_input_tokens") or 0,
        output=usage.get("output_tokens") or 0,
    )


class Assembly:
    """Puts a message together from the events of its stream."""

    def __init__(self) -> None:
        self._message: Wire = {"content": [], "usage": {}, "stop_reason": None}
        self._blocks: dict[int, Wire] = {}
        self._whole = False

    def add(self, event: Wire) -> None:
        match event["type"]:
            case "message_start":
                self._message = {**event["message"], "content": []}
            case "content_block_start":
                block = dict(event["content_block"])
                if block["type"] == "tool_use":
                    block[RAW_INPUT] = ""
                    block.pop("input", None)
                self._blocks[event["index"]] = block
            case "content_block_delta":
                _extend(self._blocks[event["index"]], event["delta"])
            case "message_delta":
                self._message["stop_reason"] = event["delta"].get("stop_reason")
                counted = {name: count for name, count in event["usage"].items() if count is not None}
                self._message["usage"] = {**self._message["usage"], **counted}
            case "message_stop":
                self._whole = True

    def tokens(self) -> Tokens:
        """What has been counted so far."""
        return to_tokens(self._message["usage"])

    def whole(self) -> Wire:
        """The message.

        Raises:
            ProviderError: the stream ended before the message did.
        """
        if not self._whole:
            raise ProviderError(Fault.CUT_OFF, "the stream ended before the message did", tokens=self.tokens())
        return {**self._message, "content": [block for _, block in sorted(self._blocks.items())]}


DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


def _extend(block: Wire, delta: dict[str, Any]) -> None:
    if delta["type"] == "input_json_delta":
        block[RAW_INPUT] += delta["partial_json"]
    elif (name := DELTAS.get(delta["type"])) is not None:
        block[name] = (block.get(name) or "") + delta[name]

"""OpenAI's responses API as data. Pure.

https://platform.openai.com/docs/api-reference/responses. Nothing is stored at the vendor: the whole conversation goes
with each request, and the model's thoughts come back to it encrypted.
"""

import json
from typing import Any

from aicd_brain.models import openai_shared
from aicd_brain.models.messages import Message, Native, Part, Reply, Request, Stop, Text, Tokens, ToolCall, ToolResult
from aicd_brain.models.provider import Wire

VENDOR = "openai-responses"


def to_body(request: Request) -> Wire:
    return {
        "model": request.model,
        "instructions": request.system,
        "tools": [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "strict": False,
            }
            for tool in request.tools
        ],
        "input": [item for message in request.messages for item in _items(message)],
        "max_output_tokens": request.max_output,
        "prompt_cache_key": request.cache_key,
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }


def _items(message: Message) -> list[Wire]:
    return [item for part in message.parts if (item := _item(message.role, part)) is not None]


def _item(role: str, part: Part) -> Wire | None:
    match part:
        case Text():
            return {"role": role, "content": part.text}
        case ToolCall():
            return {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments}
        case ToolResult():
            answer = openai_shared.answer_of(part)
            return {"type": "function_call_output", "call_id": part.call_id, "output": answer}
        case Native():
            return dict(json.loads(part.block)) if part.vendor == VENDOR else None


def to_reply(wire: Wire) -> Reply:
    parts: list[Part] = []
    refused = False
    for item in wire["output"]:
        if item["type"] == "message":
            for content in item["content"]:
                refused = refused or content["type"] == "refusal"
                parts.append(Text(text=content.get("text") or content.get("refusal") or ""))
        elif item["type"] == "function_call":
            parts.append(ToolCall(id=item["call_id"], name=item["name"], arguments=item["arguments"] or "{}"))
        else:
            parts.append(Native(vendor=VENDOR, block=json.dumps(_echo(item), sort_keys=True)))
    return Reply(
        message=Message(role="assistant", parts=tuple(parts)),
        stop=_stop(wire, parts, refused=refused),
        tokens=to_tokens(wire.get("usage") or {}),
    )


def _echo(item: Wire) -> Wire:
    """An item as it may be sent back: the API refuses a `status` there, and fields without a value."""
    return {name: value for name, value in item.items() if name != "status" and value is not None}


def _stop(wire: Wire, parts: list[Part], *, refused: bool) -> Stop:
    reason = (wire.get("incomplete_details") or {}).get("reason")
    if refused or reason == "content_filter":
        return Stop.REFUSAL
    if wire.get("status") == "incomplete":
        return Stop.LENGTH
    return Stop.TOOLS if any(isinstance(part, ToolCall) for part in parts) else Stop.END


def to_tokens(usage: dict[str, Any]) -> Tokens:
    return openai_shared.to_tokens(usage, "input_tokens", "output_tokens")

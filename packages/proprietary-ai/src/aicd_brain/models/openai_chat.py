"""OpenAI's chat completions API as data, which vLLM, Ollama, LM Studio and many others speak, too. Pure.

https://platform.openai.com/docs/api-reference/chat
"""

from typing import Any

from aicd_brain.models import openai_shared
from aicd_brain.models.messages import Message, Part, Reply, Request, Stop, Text, Tokens, ToolCall, ToolResult
from aicd_brain.models.provider import Fault, ProviderError, Wire

STOPS = {"tool_calls": Stop.TOOLS, "length": Stop.LENGTH, "content_filter": Stop.REFUSAL}


def to_body(request: Request) -> Wire:
    return {
        "model": request.model,
        "messages": [
            {"role": "system", "content": request.system},
            *(wire for message in request.messages for wire in _messages(message)),
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in request.tools
        ],
        "max_completion_tokens": request.max_output,
        "stream_options": {"include_usage": True},
    }


def _messages(message: Message) -> list[Wire]:
    """An assistant's message is one; a user's is one for each of its parts."""
    if message.role == "assistant":
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls()
        ]
        wire: Wire = {"role": "assistant", "content": message.text()}
        return [{**wire, "tool_calls": calls} if calls else wire]
    return [one for part in message.parts if (one := _part(part)) is not None]


def _part(part: Part) -> Wire | None:
    if isinstance(part, Text):
        return {"role": "user", "content": part.text}
    if isinstance(part, ToolResult):
        return {"role": "tool", "tool_call_id": part.call_id, "content": openai_shared.answer_of(part)}
    return None


def to_reply(wire: Wire) -> Reply:
    parts: list[Part] = []
    text = wire["content"] or wire["refusal"]
    if text:
        parts.append(Text(text=text))
    parts += [
        ToolCall(id=call["id"], name=call["name"], arguments=call["arguments"] or "{}") for call in wire["tool_calls"]
    ]
    if wire["refusal"]:
        stop = Stop.REFUSAL
    elif wire["tool_calls"] and wire["finish_reason"] != "length":
        stop = Stop.TOOLS  # some servers say `stop` all the same
    else:
        stop = STOPS.get(wire["finish_reason"], Stop.END)
    return Reply(
        message=Message(role="assistant", parts=tuple(parts)), stop=stop, tokens=to_tokens(wire["usage"] or {})
    )


def to_tokens(usage: dict[str, Any]) -> Tokens:
    return openai_shared.to_tokens(usage, "prompt_tokens", "completion_tokens")


class Assembly:
    """Puts a reply together from the chunks of its stream."""

    def __init__(self) -> None:
        self._reply: Wire = {"content": "", "refusal": "", "tool_calls": [], "finish_reason": None, "usage": None}

    def add(self, chunk: Wire) -> None:
        if chunk.get("usage"):
            self._reply["usage"] = chunk["usage"]
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            for name in ("content", "refusal"):
                self._reply[name] += delta.get(name) or ""
            for piece in delta.get("tool_calls") or ():
                self._extend_call(piece)
            self._reply["finish_reason"] = choice.get("finish_reason") or self._reply["finish_reason"]

    def _extend_call(self, piece: Wire) -> None:
        calls, function = self._reply["tool_calls"], piece.get("function") or {}
        index = piece.get("index") or 0
        while len(calls) <= index:
            calls.append({"id": "", "name": "", "arguments": ""})
        call = calls[index]
        call["id"] = call["id"] or piece.get("id") or f"call_{index}"
        call["name"] += function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""

    def tokens(self) -> Tokens:
        """What has been counted so far: nothing before the last chunk."""
        return to_tokens(self._reply["usage"] or {})

    def whole(self) -> Wire:
        """The reply.

        Raises:
            ProviderError: the stream ended before the reply did.
        """
        if self._reply["finish_reason"] is None:
            raise ProviderError(Fault.CUT_OFF, "the stream ended before the reply did", tokens=self.tokens())
        return self._reply

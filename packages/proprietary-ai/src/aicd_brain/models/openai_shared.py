"""What OpenAI's two APIs have in common. Pure."""

from typing import Any

from aicd_brain.models.messages import Tokens, ToolResult


def answer_of(result: ToolResult) -> str:
    """What a tool answered: neither API has a field for its failure."""
    return f"ERROR: {result.text}" if result.failed else result.text


def to_tokens(usage: dict[str, Any], prompt: str, output: str) -> Tokens:
    """The tokens of an answer. OpenAI counts what is cached, and what is written to the cache, as part of the prompt.

    Args:
        prompt: what the API calls the tokens of the prompt; `output`: those of the answer.
    """
    detail = usage.get(f"{prompt}_details") or {}
    cached, written = detail.get("cached_tokens") or 0, detail.get("cache_write_tokens") or 0
    return Tokens(
        input=max(0, (usage.get(prompt) or 0) - cached - written),
        cached_input=cached,
        cache_write=written,
        output=usage.get(output) or 0,
    )

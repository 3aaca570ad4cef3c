"""A tool: its description for the model, and the work behind it."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from aicd_brain.fence import fence
from aicd_brain.models.messages import ToolCall, ToolSpec
from aicd_brain.tools.truncation import MAX_CHARACTERS, head_and_tail
from aicd_core.errors import AicdError, ErrorKind

ITS_OWN = frozenset({ErrorKind.INVALID_INPUT, ErrorKind.NOT_FOUND})
"""Errors that are the model's to mend; those of the platform pass through."""


@dataclass(frozen=True)
class Said:
    """What a tool answers. `result` ends the conversation; `outside` marks text that strangers wrote."""

    text: str
    failed: bool = False
    outside: bool = False
    result: BaseModel | None = None

    def shown(self) -> str:
        """The text as the model sees it: not too long, and fenced if it is from outside."""
        short = head_and_tail(self.text, MAX_CHARACTERS)
        return fence("tool-output", short) if self.outside else short


@dataclass(frozen=True)
class Tool:
    """One tool.

    Args:
        use: takes the arguments, an object whose values are unchecked. Errors of pydantic and of the workspace go to
            the model.
        changes: it may change the tree.
        observes: what it answers can differ when it is used again in the same tree.
    """

    spec: ToolSpec
    use: Callable[[dict[str, Any]], Awaitable[Said]]
    changes: bool = False
    observes: bool = False

    async def answer(self, call: ToolCall) -> Said:
        """Carries out a call; whatever is wrong with it is the answer."""
        try:
            arguments = from_json(call.arguments)
        except ValueError as error:
            return Said(f"The arguments are no JSON: {error}. Nothing was done. Send the call again.", failed=True)
        if not isinstance(arguments, dict):
            return Said("The arguments must be a JSON object. Nothing was done. Send the call again.", failed=True)
        try:
            return await self.use(arguments)
        except ValidationError as error:
            return Said("Nothing was done:\n" + "\n".join(numbered(error)), failed=True)
        except AicdError as error:
            if error.kind not in ITS_OWN:
                raise
            return Said(error.message, failed=True)


def numbered(error: ValidationError) -> Iterable[str]:
    """Each fault with its place, numbered from 1."""
    for number, fault in enumerate(error.errors(include_url=False, include_input=False), 1):
        place = ".".join(str(part) for part in fault["loc"]) or "arguments"
        yield f"{number}. {place}: {fault['msg']}"


def schema_of(model: type[BaseModel], *, without: Iterable[str] = ()) -> dict[str, Any]:
    """The JSON schema of a model's arguments, with nothing in it that a reader can do without."""
    whole = model.model_json_schema()
    lean = _lean(whole, whole.get("$defs", {}))
    dropped = set(without)
    lean["properties"] = {name: part for name, part in lean["properties"].items() if name not in dropped}
    lean["required"] = [name for name in lean.get("required", ()) if name not in dropped]
    return dict(lean)


NEEDLESS = frozenset(
    {
        *("title", "$defs", "default", "additionalProperties", "const"),
        *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum"),
    }
)


def _lean(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_lean(inner, definitions) for inner in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _lean(definitions[part["$ref"].rpartition("/")[2]], definitions)
    kept = {name: inner for name, inner in part.items() if name not in NEEDLESS or isinstance(inner, dict)}
    kept.pop("$defs", None)
    if part.get("description") and part.get("type") == "object":
        kept.pop("description")
    return {name: _lean(inner, definitions) for name, inner in kept.items()}

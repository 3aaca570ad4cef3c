"""Making a conversation shorter without asking a model, so that it comes out the same each time. Pure.

The opening stays: it has the task, the plan and what is open from the round before. The last turns stay. In between,
first what tools answered goes, since the tree still has it; then whole turns.
"""

from collections.abc import Sequence

from aicd_brain.models.messages import Message, Part, Text, ToolCall, ToolResult

KEPT = 6
"""Messages at the end that stay: three turns."""
CLEARED = "[cleared to save room; use the tool again if you need it]"
NOTE = "Earlier turns were left out to save room. The tree has what they did: look there, and go on."


def compact(messages: Sequence[Message]) -> list[Message]:
    """The messages, shorter by one degree: answers of tools cleared; where they are already, older turns dropped."""
    opening, middle, end = messages[:1], messages[1:-KEPT], messages[-KEPT:]
    if len(messages) <= 1 + KEPT:
        return [*opening, *map(_cleared, messages[1:])]
    cleared = [_cleared(message) for message in middle]
    if cleared != list(middle):
        return [*opening, *cleared, *end]
    return [_noted(opening[0]), *end]


def _cleared(message: Message) -> Message:
    return message.model_copy(update={"parts": tuple(_without_content(part) for part in message.parts)})


def _without_content(part: Part) -> Part:
    if isinstance(part, ToolResult) and len(part.text) > len(CLEARED):
        return part.model_copy(update={"text": CLEARED})
    if isinstance(part, ToolCall) and len(part.arguments) > 1000:
        return part.model_copy(update={"arguments": "{}"})
    return part


def _noted(opening: Message) -> Message:
    note = Text(text=NOTE)
    return opening if note in opening.parts else opening.model_copy(update={"parts": (*opening.parts, note)})

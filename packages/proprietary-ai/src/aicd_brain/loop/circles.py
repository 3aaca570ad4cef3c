"""Telling when a model goes in circles. Pure."""

from collections.abc import Sequence

from aicd_brain.loop.turns import Turn
from aicd_brain.models.messages import Message, ToolResult

SAME_ACTION = 4
SAME_ERROR = 4
ALTERNATIONS = 3
"""How often a pair of actions takes turns."""

Action = tuple[tuple[str, str], ...]


def circle(turns: Sequence[Turn]) -> str | None:
    """What the model does over and over, looking at the last turns since it was told so; None when it does not."""
    since = max((number + 1 for number, turn in enumerate(turns) if turn.nudged), default=0)
    recent = turns[since:]
    actions = [_action(turn) for turn in recent]
    if _ends_alike(actions, SAME_ACTION):
        return f"You did exactly the same {SAME_ACTION} times in a row."
    if _ends_alike([_error(turn.answered) for turn in recent], SAME_ERROR):
        return f"You got the same error {SAME_ERROR} times in a row."
    last = actions[-2 * ALTERNATIONS :]
    if len(last) == 2 * ALTERNATIONS and len(set(last)) == 2 and last == last[:2] * ALTERNATIONS:
        return f"You went back and forth between the same two actions {ALTERNATIONS} times."
    return None


def _ends_alike(items: Sequence[Action] | Sequence[str], times: int) -> bool:
    last = items[-times:]
    return len(last) == times and bool(last[0]) and len(set(last)) == 1


def _action(turn: Turn) -> Action:
    return tuple((call.name, call.arguments) for call in turn.said.calls())


def _error(answered: Message) -> str:
    """What failed, if everything did."""
    results = [part for part in answered.parts if isinstance(part, ToolResult)]
    return "\n".join(part.text for part in results) if results and all(part.failed for part in results) else ""

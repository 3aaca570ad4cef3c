"""What is kept of a conversation, and how its messages follow from it. Pure."""

from collections.abc import Iterable

from pydantic import TypeAdapter

from aicd_brain.loop.compaction import compact
from aicd_brain.models.messages import Message
from aicd_core.contracts import Left
from aicd_core.contracts.values import Value

BYTES_PER_TOKEN = 4


class Turn(Value):
    """What the model said and what it was answered.

    `left` is what the step could still use then, `warned` of what the answer warns, `nudged` whether it says that the
    model goes in circles, `overflowed` whether the conversation had to be compacted before the model would read it.
    """

    said: Message
    answered: Message
    left: Left
    warned: tuple[str, ...] = ()
    nudged: bool = False
    overflowed: bool = False


_TURNS = TypeAdapter(tuple[Turn, ...])


def to_fragment(turns: Iterable[Turn]) -> bytes:
    """Turns as a checkpoint keeps them."""
    return _TURNS.dump_json(tuple(turns))


def from_fragments(fragments: Iterable[bytes]) -> list[Turn]:
    return [turn for fragment in fragments for turn in _TURNS.validate_json(fragment)]


class Conversation:
    """Grows at its end only, so that each prompt begins with the one before; but when it is too long, it is compacted.

    Args:
        opening: the first message.
        limit: tokens above which it is compacted.
    """

    def __init__(self, opening: Message, limit: int) -> None:
        self._limit = limit
        self._messages = [opening]
        self._size = _size(opening)
        self.turns: list[Turn] = []

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self._messages)

    def add(self, turn: Turn) -> None:
        """Appends a turn. The same turns in the same order make the same messages."""
        self.turns.append(turn)
        self._messages += (turn.said, turn.answered)
        self._size += _size(turn.said) + _size(turn.answered)
        if self._size > self._limit * BYTES_PER_TOKEN:
            self.compact()

    def compact(self) -> bool:
        """Makes it shorter; False when it cannot be any shorter."""
        shorter = compact(self._messages)
        size = sum(map(_size, shorter))
        if size >= self._size:
            return False
        self._messages, self._size = shorter, size
        return True

    @classmethod
    def resumed(cls, opening: Message, limit: int, turns: Iterable[Turn]) -> "Conversation":
        """The conversation as it was after those turns."""
        conversation = cls(opening, limit)
        for turn in turns:
            if turn.overflowed:
                conversation.compact()
            conversation.add(turn)
        return conversation


def _size(message: Message) -> int:
    return len(message.model_dump_json())

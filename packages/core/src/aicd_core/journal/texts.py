"""What of a call's texts has to be stored, given what is stored of its job already; and texts made again. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aicd_core.journal.pieces import alike, cut, name_of, pack, unpack


@dataclass(frozen=True)
class Texts:
    """Request and reply of a call as they are stored.

    Args:
        request_names: all pieces of the request; `own` are those that follow the first `shared` of the call `base`.
        contents: by name, as packed, the pieces that may not be stored yet.
    """

    request_sha256: bytes
    reply_sha256: bytes
    base: bytes | None
    shared: int
    request_names: tuple[bytes, ...]
    reply_names: tuple[bytes, ...]
    contents: Mapping[bytes, bytes]

    @property
    def own(self) -> tuple[bytes, ...]:
        return self.request_names[self.shared :]


class Known:
    """What of one job is stored for certain, as far as whoever stores it has seen.

    What it does not know of is stored again, which changes nothing. Only the job itself is remembered, which keeps its
    pieces as long as it is open.
    """

    def __init__(self) -> None:
        self._names: set[bytes] = set()
        self._last: dict[tuple[str, str], tuple[bytes, tuple[bytes, ...]]] = {}

    def texts(self, step: str, model: str, request: bytes, reply: bytes) -> Texts:
        """The texts of a call. The list of a request goes on from the one that the step last asked of the model."""
        asked, answered = list(cut(request)), list(cut(reply))
        names = tuple(map(name_of, asked))
        base, before = self._last.get((step, model), (None, ()))
        shared = alike(before, names)
        new = {name_of(piece): piece for piece in (*asked[shared:], *answered)}
        return Texts(
            request_sha256=hashlib.sha256(request).digest(),
            reply_sha256=hashlib.sha256(reply).digest(),
            base=base if shared else None,
            shared=shared,
            request_names=names,
            reply_names=tuple(map(name_of, answered)),
            contents={name: pack(piece) for name, piece in new.items() if name not in self._names},
        )

    def learn(self, step: str, model: str, request_hash: bytes, texts: Texts) -> None:
        """Remembers texts that are stored now, under the hash of their request."""
        self._names.update(texts.contents)
        self._last[step, model] = (request_hash, texts.request_names)


@dataclass(frozen=True)
class StoredCall:
    """A call of a job, with the names of the pieces of its texts."""

    step: str
    number: int
    model: str
    request_hash: bytes
    request_sha256: bytes
    reply_sha256: bytes
    request_names: tuple[bytes, ...]
    reply_names: tuple[bytes, ...]

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.step} call {self.number}"

    def texts(self, packed: Mapping[bytes, bytes]) -> tuple[bytes | None, bytes | None]:
        """Request and reply made of their pieces; None for one that is not what was stored."""
        request = text_of(self.request_names, packed, self.request_sha256)
        return request, text_of(self.reply_names, packed, self.reply_sha256)


def whole(
    lists: Mapping[bytes, tuple[bytes, ...]], base: bytes | None, shared: int, own: Iterable[bytes]
) -> list[bytes]:
    """The whole list of a request's pieces, given those of the job's earlier requests by their hash.

    Without the list that it goes on from, it lacks its beginning, which shows when the text is made.
    """
    return [*(lists.get(base, ())[:shared] if base is not None else ()), *own]


def text_of(names: Sequence[bytes], packed: Mapping[bytes, bytes], sha256: bytes) -> bytes | None:
    """A text made of its pieces; None when it is not the text of that SHA-256, or not all of it is there."""
    pieces = [unpack(name, packed.get(name)) for name in names]
    text = b"".join(piece for piece in pieces if piece is not None)
    return text if None not in pieces and hashlib.sha256(text).digest() == sha256 else None

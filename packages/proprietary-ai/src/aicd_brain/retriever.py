"""Finding the code that an issue is about. The built-in way searches for the issue's own words."""

import re
from collections import Counter
from collections.abc import Sequence
from math import log
from typing import Protocol

from aicd_core.contracts import Match, Workspace
from aicd_core.contracts.values import RepoPath, Value
from aicd_core.errors import InvalidInputError

MAX_WORDS = 8
MATCHES_PER_WORD = 100
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{3,59}")
_CODE = re.compile(r"[._]|[a-z][A-Z]|\d")
"""What names in code have, and words of a language do not."""


class Passage(Value):
    """Lines of a file that seem to matter; `first` is the number of the first one."""

    path: RepoPath
    first: int
    text: str


class Retriever(Protocol):
    async def find(self, question: str, workspace: Workspace, limit: int) -> Sequence[Passage]:
        """At most `limit` passages for the question, the best first; the same ones for the same tree and question."""
        ...


class PlainSearch:
    """A `Retriever` without an index: lines with the question's words, from the files that hold the rarest of them."""

    async def find(self, question: str, workspace: Workspace, limit: int) -> Sequence[Passage]:
        scores: Counter[str] = Counter()
        first: dict[str, Match] = {}
        for word in salient_words(question):
            matches = await _search(workspace, word)
            per_file = Counter(match.path for match in matches)
            for match in matches:
                first.setdefault(match.path, match)
            for path, times in per_file.items():
                scores[path] += round(1000 * log(1 + times) / log(2 + len(per_file)))
        best = sorted(scores, key=lambda path: (-scores[path], path))[:limit]
        return [Passage(path=path, first=first[path].line, text=first[path].text) for path in best]


async def _search(workspace: Workspace, word: str) -> Sequence[Match]:
    """The lines with the word; none where the tree is too large to be searched in time."""
    try:
        return await workspace.search(re.escape(word), limit=MATCHES_PER_WORD)
    except InvalidInputError:
        return ()


def salient_words(question: str) -> list[str]:
    """The words that most look like names in code, then the longest, in a fixed order."""
    words = dict.fromkeys(word.rstrip(".") for word in _WORD.findall(question))
    ranked = sorted(words, key=lambda word: (_CODE.search(word) is None, -len(word), word))
    return [word for word in ranked if len(word) > 3][:MAX_WORDS]

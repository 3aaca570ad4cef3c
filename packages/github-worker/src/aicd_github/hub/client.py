"""Calls about one repository: with the right token, conditional where something is known, repeated where safe."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aicd_github.hub.address import RepositoryAddress, graphql_of
from aicd_github.hub.api import Answer, Api, Question, UnheardError
from aicd_github.hub.insisting import PATIENCE, insist
from aicd_github.hub.refusals import refused
from aicd_github.hub.tokens import Permissions, Tokens

PAGE = 100
_MOST_PAGES = 30
_KNOWN = 128
"""Answers that are kept for conditional requests, which count against no limit."""


@dataclass
class Client:
    """One repository's API.

    Args:
        patience: seconds that one effect may take with all its repetitions.
    """

    api: Api
    tokens: Tokens
    address: RepositoryAddress
    patience: float = PATIENCE
    _known: OrderedDict[str, tuple[str, Any]] = field(default_factory=OrderedDict, repr=False)

    async def get(self, path: str, needed: Permissions, what: str, **params: str | int) -> Any:
        """What is at a path below the repository's, as it is now.

        Raises:
            AicdError: GitHub refuses, or does not answer.
        """
        return (await self._get(path, needed, what, params)).data

    async def get_all(self, path: str, needed: Permissions, what: str, **params: str | int) -> list[Any]:
        """All items of a list, oldest page first; of a very long one, the first 3,000."""
        items: list[Any] = []
        for number in range(1, _MOST_PAGES + 1):
            page = {**params, "per_page": PAGE, "page": number}
            data = (await self._get(path, needed, what, page)).data
            found = data if isinstance(data, list) else data["check_runs"]
            items += found
            if len(found) < PAGE:
                break
        return items

    async def put(self, method: str, path: str, body: Mapping[str, Any] | None, needed: Permissions, what: str) -> Any:
        """An effect that is the same however often it is made.

        Raises:
            AicdError: GitHub refuses, or does not answer.
        """
        question = Question(method, f"{self.address.path}{path}", body)
        return _good(await insist(lambda: self._ask(question, needed), what, self.patience), what).data

    async def graphql(self, text: str, variables: Mapping[str, Any], needed: Permissions, what: str) -> Any | None:
        """An effect that the REST API does not have, the same however often it is made; None where it is refused.

        Raises:
            AicdError: GitHub does not let us in, or does not answer.
        """
        question = Question("POST", graphql_of(self.api.base_url), {"query": text, "variables": dict(variables)})
        answer = _good(await insist(lambda: self._ask(question, needed), what, self.patience), what)
        return None if answer.data.get("errors") else answer.data["data"]

    async def once(
        self,
        find: Callable[[], Awaitable[Any | None]],
        make: Question,
        needed: Permissions,
        what: str,
    ) -> Any:
        """An effect that must not be made twice: looked for before each attempt, and again after one without an answer.

        Args:
            find: what the effect made, if it is there.
            make: makes it; its path is below the repository's.

        Raises:
            AicdError: GitHub refuses, or does not answer.
        """
        question = Question(make.method, f"{self.address.path}{make.path}", make.body)

        async def attempt() -> Answer:
            found = await find()
            return await self._ask(question, needed) if found is None else Answer(200, found, {})

        answer = await insist(attempt, what, self.patience)
        if answer.status == 422 and (found := await find()) is not None:  # somebody else made it at this very moment
            return found
        return _good(answer, what).data

    async def log(self, path: str, needed: Permissions, what: str, most: int) -> bytes | None:
        """The last `most` bytes of a file that the API redirects to; None when there is none."""
        question = Question("GET", f"{self.address.path}{path}")
        answer = await insist(lambda: self._ask(question, needed), what, self.patience)
        if answer.status != 302:
            return None
        try:
            return await self.api.fetch(answer.headers["location"], most)
        except UnheardError:
            return None

    async def _get(self, path: str, needed: Permissions, what: str, params: Mapping[str, str | int]) -> Answer:
        key = f"{path}?{sorted(params.items())}"
        known = self._known.get(key)
        etag = None if known is None else known[0]
        question = Question("GET", f"{self.address.path}{path}", params=params, etag=etag)
        answer = _good(await insist(lambda: self._ask(question, needed), what, self.patience), what)
        if answer.status == 304 and known is not None:
            return Answer(200, known[1], answer.headers)
        if "etag" in answer.headers:
            self._known[key] = (answer.headers["etag"], answer.data)
            self._known.move_to_end(key)
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return answer

    async def _ask(self, question: Question, needed: Permissions) -> Answer:
        """One call; with a new token, once, where GitHub does not take the one that was kept."""
        token = await self.tokens.token(needed)
        answer = await self.api.ask(question, token)
        if answer.status == 401:
            # Without effect, so that any call may be made again.
            again = self.tokens.forget(token)
            answer = await self.api.ask(question, await self.tokens.token(needed) if again else token)
        return answer


def _good(answer: Answer, what: str) -> Answer:
    if not answer.ok:
        raise refused(what, answer)
    return answer

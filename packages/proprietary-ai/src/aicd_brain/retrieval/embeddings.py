"""Asking a server of OpenAI's embeddings API: https://platform.openai.com/docs/api-reference/embeddings/create."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import httpx2
from pydantic import BaseModel, ValidationError

from aicd_brain.retrieval.settings import RetrievalSettings
from aicd_core.contracts import Usage

Vector = list[float]
CONNECT_TIMEOUT = 10.0


class EmbeddingError(Exception):
    """The provider gave no embeddings; the message says why. Search goes on by words."""


class _Embedded(BaseModel):
    index: int
    embedding: Vector


class _Used(BaseModel):
    prompt_tokens: int = 0


class _Answer(BaseModel):
    data: list[_Embedded]
    usage: _Used = _Used()


class Embedder:
    """One connection to the provider.

    Args:
        spend: told what each request cost.
    """

    def __init__(self, settings: RetrievalSettings, spend: Callable[[Usage], None]) -> None:
        self._settings = settings
        self._spend = spend
        key = settings.embedding_api_key
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            timeout=httpx2.Timeout(settings.embedding_timeout, connect=CONNECT_TIMEOUT),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """The vector of each text, all of one length; a text is cut at `embedding_max_chars`.

        Raises:
            EmbeddingError: the provider cannot be reached, refuses, or answers something else.
        """
        most = self._settings.embedding_max_chars
        answer = await self._ask([text[:most] or " " for text in texts])
        vectors = [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) > 1 or not all(vectors):
            raise EmbeddingError(
                f"The embedding provider answered {len(vectors)} unusable vectors to {len(texts)} texts."
            )
        tokens = answer.usage.prompt_tokens
        self._spend(Usage(input_tokens=tokens, cost_micro_usd=round(tokens * self._settings.embedding_price)))
        return vectors

    async def _ask(self, texts: list[str]) -> _Answer:
        url = f"{str(self._settings.embedding_base_url).rstrip('/')}/embeddings"
        body = {"model": self._settings.embedding_model, "input": texts, "encoding_format": "float"}
        try:
            reply = await self._client.post(url, json=body)
            reply.raise_for_status()
            return _Answer.model_validate_json(reply.content)
        except httpx2.HTTPStatusError as error:
            raise EmbeddingError(f"The embedding provider answered {error.response.status_code}.") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise EmbeddingError(f"The embedding provider cannot be reached: {type(error).__name__}.") from error
        except ValidationError as error:
            raise EmbeddingError("The embedding provider answered no embeddings.") from error

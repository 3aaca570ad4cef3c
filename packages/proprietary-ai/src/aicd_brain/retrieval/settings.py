"""What an operator may set of retrieval; each field is the environment variable `AICD_<NAME>`."""

from pydantic import Field, SecretStr

from aicd_core.settings import EnvironmentSettings


class RetrievalSettings(EnvironmentSettings):
    """Settings of the search by meaning; without `embedding_base_url` and `embedding_model` there is none."""

    embedding_base_url: str | None = Field(
        default=None, description="A server of OpenAI's embeddings API, up to and with /v1."
    )
    embedding_model: str | None = Field(default=None, description="The model that it is asked for.")
    embedding_api_key: SecretStr | None = Field(default=None, description="Its key, where it wants one.")
    embedding_batch: int = Field(default=64, ge=1, le=2048, description="Texts in one request.")
    embedding_timeout: float = Field(default=60, gt=0, description="Deadline of one request, in seconds.")
    embedding_price: float = Field(default=0, ge=0, description="US dollars for a million tokens, for the ledger.")
    embedding_max_chars: int = Field(default=6000, ge=100, description="So much of a chunk is embedded.")
    qdrant_url: str | None = Field(
        default=None, description="A Qdrant server for the vectors. Not set: a folder beside the index of words."
    )
    qdrant_api_key: SecretStr | None = Field(default=None, description="Its key, where it wants one.")

    @property
    def embeds(self) -> bool:
        """Whether an embedding provider is configured."""
        return bool(self.embedding_base_url and self.embedding_model)

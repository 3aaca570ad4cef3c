"""The two bases of what is sent and answered as JSON."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Body(BaseModel):
    """What a caller sends: nothing unknown, nothing converted behind his back.

    Times, UUIDs and enumerations have no JSON type of their own: their fields say `strict=False`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, sent: Any) -> Any:
        """1.0 is an integer in JSON Schema (2020-12, 6.1.1), and JavaScript does not tell it from 1."""
        if not isinstance(sent, dict):
            return sent
        return {
            key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in sent.items()
        }


class Answer(BaseModel):
    """What we answer."""

    model_config = ConfigDict(frozen=True)

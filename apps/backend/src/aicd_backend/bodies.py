"""The two bases of what is sent and answered as JSON."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """What a caller sends: nothing unknown, nothing converted behind his back.

    Times, UUIDs and enumerations have no JSON type of their own: their fields say `strict=False`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Answer(BaseModel):
    """What we answer."""

    model_config = ConfigDict(frozen=True)

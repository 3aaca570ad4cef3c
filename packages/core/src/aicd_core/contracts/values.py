"""The base of all values that pass between the parts: frozen, closed, exact JSON there and back."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

GitSha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
"""A full object name, SHA-1 or SHA-256."""

RepoPath = Annotated[str, Field(min_length=1, max_length=4096)]
"""A path inside the repository: `/`-separated, relative, UTF-8. A change to a path that is not UTF-8 is
refused where the tree is captured, so that every recorded path is exact."""


class Value(BaseModel):
    """A frozen value; unknown fields are refused, bytes travel as base64."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

"""API keys. A key's token is in the answer to making it and nowhere else."""

from datetime import datetime, timedelta
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field

from aicd_backend.access import needs, secured_router
from aicd_backend.bodies import Answer, Body
from aicd_backend.callers import Here
from aicd_backend.paging import PageOf, PageQuery, page_of
from aicd_core.ids import ApiKeyId
from aicd_core.tenancy.api_keys import service
from aicd_core.tenancy.api_keys.values import IssuedKey, KeySpec, KeyView
from aicd_core.tenancy.permissions import Permission

router = secured_router("api-keys")
KEYS = "/organizations/{org}/api-keys"


class KeyAnswer(Answer):
    """An API key, without what makes it one."""

    id: UUID
    name: str
    prefix: str = Field(description="The part of the token that may be shown.")
    scopes: tuple[str, ...]
    created_by: UUID | None = Field(description="The user who made it; null for a key made by a key.")
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None
    replaces: UUID | None = Field(description="The key in whose place it was made.")

    @classmethod
    def of(cls, view: KeyView) -> Self:
        return cls(**vars(view) | {"scopes": tuple(sorted(view.scopes))})


class IssuedKeyAnswer(Answer):
    """A new API key and its token, which is never shown again."""

    key: KeyAnswer
    token: str = Field(examples=["aicd_key_…"])

    @classmethod
    def of(cls, issued: IssuedKey) -> Self:
        return cls(key=KeyAnswer.of(issued.key), token=issued.token.reveal())


class NewKeyBody(Body):
    """A key to be made. It may do at most what its maker may."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "nightly build", "scopes": ["jobs:read"]}]})

    name: str = Field(min_length=1, max_length=service.NAME_MOST)
    scopes: frozenset[Annotated[Permission, Field(strict=False)]] = Field(
        strict=False, min_length=1, description="What it may do."
    )
    expires_at: AwareDatetime | None = Field(default=None, strict=False, description="Null: never.")


class RotationBody(Body):
    """How a key is replaced by a new one with the same name and scopes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grace_seconds": 3600}]})

    grace_seconds: int = Field(ge=0, le=90 * 86400, description="So long the old token stays good.")
    expires_at: AwareDatetime | None = Field(default=None, strict=False, description="Of the new key; null: never.")


@router.get(KEYS, summary="All keys, ended ones too, newest first", **needs(Permission.KEYS_EDIT))
async def list_api_keys(here: Here, page: PageQuery) -> PageOf[KeyAnswer]:
    async with here.read() as session:
        return page_of(await service.list_keys(session, here.tenant, page), KeyAnswer.of)


@router.post(KEYS, status_code=201, summary="Make a key", **needs(Permission.KEYS_EDIT, once=True))
async def create_api_key(here: Here, new: NewKeyBody) -> IssuedKeyAnswer:
    spec = KeySpec(new.name, frozenset(scope.value for scope in new.scopes), new.expires_at)
    async with here.write() as session:
        issued = await service.create_key(session, here.tenant, here.actor, here.powers, spec, here.now)
    return IssuedKeyAnswer.of(issued)


@router.get(f"{KEYS}/{{key_id}}", summary="One key", **needs(Permission.KEYS_EDIT))
async def get_api_key(here: Here, key_id: UUID) -> KeyAnswer:
    async with here.read() as session:
        return KeyAnswer.of(await service.get_key(session, here.tenant, ApiKeyId(key_id)))


@router.delete(f"{KEYS}/{{key_id}}", status_code=204, summary="Revoke it at once", **needs(Permission.KEYS_EDIT))
async def revoke_api_key(here: Here, key_id: UUID) -> None:
    async with here.write() as session:
        await service.revoke_key(session, here.tenant, here.actor, ApiKeyId(key_id), here.now)


@router.post(
    f"{KEYS}/{{key_id}}/rotate", status_code=201, summary="Replace it", **needs(Permission.KEYS_EDIT, once=True)
)
async def rotate_api_key(here: Here, key_id: UUID, how: RotationBody) -> IssuedKeyAnswer:
    grace = timedelta(seconds=how.grace_seconds)
    async with here.write() as session:
        issued = await service.rotate_key(
            *(session, here.tenant, here.actor, here.powers, ApiKeyId(key_id), grace, how.expires_at, here.now)
        )
    return IssuedKeyAnswer.of(issued)

"""An organization's secrets. A value goes in and never comes out again."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import Path, Response
from pydantic import ConfigDict, Field

from aicd_backend.access import needs, secured_router
from aicd_backend.bodies import Answer, Body
from aicd_backend.callers import Here, TenantCaller
from aicd_backend.etags import IfMatch, tagged
from aicd_backend.paging import PageOf
from aicd_core.db.sessions import ReadSession
from aicd_core.tenancy.permissions import Permission
from aicd_core.tenancy.secrets import service
from aicd_core.tenancy.secrets.keyring import Keyring
from aicd_core.tenancy.secrets.values import SecretView

router = secured_router("secrets")
SECRETS = "/organizations/{org}/secrets"
SECRET = f"{SECRETS}/{{secret_name}}"
Name = Annotated[
    str,
    Path(pattern=f"^{service.NAME.pattern}$", description="Capital letters, digits and _.", examples=["MODEL_KEY"]),
]


class SecretAnswer(Answer):
    """A secret, without its value."""

    name: str = Field(examples=["MODEL_KEY"])
    revision: int = Field(description="Of its value; in quotes, the ETag.")
    key_id: str = Field(description="Which of the server's keys (AICD_SECRET_KEYS) encrypts it.")
    created_at: datetime

    @classmethod
    def of(cls, view: SecretView) -> Self:
        return cls(**vars(view))


class SecretBody(Body):
    """A value to be kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"value": "sk-…"}]})

    value: str = Field(min_length=1, max_length=service.VALUE_MOST, repr=False)


@router.get(SECRETS, summary="All secrets, by name", **needs(Permission.SECRETS_EDIT))
async def list_secrets(here: Here) -> PageOf[SecretAnswer]:
    async with here.read() as session:
        found = await service.list_names(session, here.tenant)
    return PageOf(items=tuple(map(SecretAnswer.of, found)), next_cursor=None)


@router.get(SECRET, summary="One secret", **needs(Permission.SECRETS_EDIT, tagged=True))
async def get_secret(here: Here, secret_name: Name, response: Response) -> SecretAnswer:
    async with here.read() as session:
        found = await service.describe(session, here.tenant, secret_name)
    return tagged(response, found, SecretAnswer.of)


@router.put(SECRET, summary="Keep a value", **needs(Permission.SECRETS_EDIT, edits=True, refuses=(400, 503)))
async def put_secret(
    here: Here, secret_name: Name, revision: IfMatch, new: SecretBody, response: Response
) -> SecretAnswer:
    """A name that is not there yet has the ETag `"0"`."""
    async with here.write() as session:
        await _require_known(session, here, secret_name, revision)
        kept = await service.put(
            *(session, here.tenant, here.actor, _keyring(here), secret_name, new.value), revision=revision
        )
    return tagged(response, kept, SecretAnswer.of)


@router.delete(
    SECRET, status_code=204, summary="Remove it for good", **needs(Permission.SECRETS_EDIT, edits=True, gone=True)
)
async def delete_secret(here: Here, secret_name: Name, revision: IfMatch) -> None:
    async with here.write() as session:
        await service.describe(session, here.tenant, secret_name)
        await service.delete(session, here.tenant, here.actor, secret_name, revision=revision)


async def _require_known(session: ReadSession, here: TenantCaller, name: str, revision: int) -> None:
    """Raises NotFoundError when what is to be replaced is not there: a new one is made on purpose only."""
    if revision != 0:
        await service.describe(session, here.tenant, name)


def _keyring(here: TenantCaller) -> Keyring:
    keys = here.stores.settings.secret_keys
    return Keyring.parse(keys.get_secret_value() if keys else None)

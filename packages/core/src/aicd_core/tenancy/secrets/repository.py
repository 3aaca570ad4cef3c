"""SQL of secrets: ciphertexts in and out, never a value."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.ids import new_uuid
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.secrets.models import Secret
from aicd_core.tenancy.secrets.values import SealedSecret, SecretView


async def insert_secret(session: WriteSession, tenant: Tenant, new: SealedSecret) -> SecretView | None:
    """Keeps a new secret; None when the tenant has one of this name."""
    values = {"id": new_uuid(), "org_id": tenant.org_id, "revision": 1}
    row = insert(Secret).values(name=new.name, key_id=new.key_id, ciphertext=new.ciphertext, **values)
    made = await session.execute(row.on_conflict_do_nothing(index_elements=["org_id", "name"]).returning(Secret))
    stored = made.scalar_one_or_none()
    return _view(stored) if stored else None


async def update_secret(session: WriteSession, tenant: Tenant, revision: int, new: SealedSecret) -> SecretView | None:
    """Replaces a secret; None when it is no longer at this revision."""
    changed = await session.execute(
        update(Secret)
        .where(mine(Secret, tenant), Secret.name == new.name, Secret.revision == revision)
        .values(key_id=new.key_id, ciphertext=new.ciphertext, revision=revision + 1)
        .returning(Secret)
        .execution_options(populate_existing=True)
    )
    row = changed.scalar_one_or_none()
    return _view(row) if row else None


async def delete_secret(session: WriteSession, tenant: Tenant, name: str, revision: int) -> bool:
    """Removes a secret for good; False when it is not there at this revision."""
    gone = await session.execute(
        delete(Secret)
        .where(mine(Secret, tenant), Secret.name == name, Secret.revision == revision)
        .returning(Secret.id)
    )
    return gone.first() is not None


async def get_sealed(session: ReadSession, tenant: Tenant, name: str) -> SealedSecret | None:
    """A secret as it is stored; None when the tenant has none of this name."""
    found = await session.execute(
        select(Secret.name, Secret.key_id, Secret.ciphertext).where(mine(Secret, tenant), Secret.name == name)
    )
    row = found.one_or_none()
    return SealedSecret(*row) if row else None


async def find_secret(session: ReadSession, tenant: Tenant, name: str) -> SecretView | None:
    """What may be shown of a secret; None when the tenant has none of this name."""
    row = (await session.execute(select(Secret).where(mine(Secret, tenant), Secret.name == name))).scalar_one_or_none()
    return _view(row) if row else None


async def list_secrets(session: ReadSession, tenant: Tenant, limit: int) -> Sequence[SecretView]:
    """What may be shown of the tenant's secrets, by name."""
    query = select(Secret).where(mine(Secret, tenant)).order_by(Secret.name).limit(limit)
    return [_view(row) for row in (await session.execute(query)).scalars()]


async def count_secrets(session: ReadSession, tenant: Tenant) -> int:
    """How many secrets the tenant has."""
    return (await session.execute(select(func.count()).select_from(Secret).where(mine(Secret, tenant)))).scalar_one()


async def lock_sealed_with_others(session: WriteSession, tenant: Tenant, key_id: str) -> Sequence[SealedSecret]:
    """The tenant's secrets that another key encrypted, locked until the transaction ends."""
    query = (
        select(Secret.name, Secret.key_id, Secret.ciphertext)
        .where(mine(Secret, tenant), Secret.key_id != key_id)
        .order_by(Secret.name)
        .with_for_update()
    )
    return [SealedSecret(*row) for row in await session.execute(query)]


async def reseal(session: WriteSession, tenant: Tenant, new: SealedSecret) -> None:
    """Replaces how a secret is encrypted; its value and revision stay."""
    await session.execute(
        update(Secret)
        .where(mine(Secret, tenant), Secret.name == new.name)
        .values(key_id=new.key_id, ciphertext=new.ciphertext)
    )


def _view(row: Secret) -> SecretView:
    return SecretView(row.name, row.key_id, row.revision, row.created_at)

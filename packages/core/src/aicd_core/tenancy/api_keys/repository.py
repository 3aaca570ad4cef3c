"""SQL of API keys."""

from datetime import datetime

from sqlalchemy import String, bindparam, func, insert, or_, select, update

from aicd_core.db.calls import Call, Prepared
from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import ReadSession, SystemCourier, SystemReadSession, WriteSession
from aicd_core.ids import ApiKeyId, new_uuid
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.api_keys.models import ApiKey
from aicd_core.tenancy.api_keys.values import FoundKey, KeyView, NewKey
from aicd_core.tenancy.organizations.models import Organization


async def insert_key(session: WriteSession, tenant: Tenant, new: NewKey) -> KeyView:
    """Keeps a key."""
    made = await session.execute(
        insert(ApiKey)
        .values(
            id=new_uuid(),
            org_id=tenant.org_id,
            name=new.spec.name,
            prefix=new.prefix,
            key_hash=new.key_hash,
            scopes=sorted(new.spec.scopes),
            created_by=new.created_by,
            expires_at=new.spec.expires_at,
            replaces=new.replaces,
        )
        .returning(ApiKey)
    )
    return _view(made.scalar_one())


async def get_key(session: ReadSession, tenant: Tenant, key_id: ApiKeyId) -> KeyView | None:
    """One key, or None when the tenant has no such one."""
    query = select(ApiKey).where(mine(ApiKey, tenant), ApiKey.id == key_id)
    row = (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()
    return _view(row) if row else None


async def lock_key(session: WriteSession, tenant: Tenant, key_id: ApiKeyId) -> KeyView | None:
    """The same, held until the transaction ends."""
    query = select(ApiKey).where(mine(ApiKey, tenant), ApiKey.id == key_id).with_for_update()
    row = (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()
    return _view(row) if row else None


async def is_replaced(session: ReadSession, tenant: Tenant, key_id: ApiKeyId) -> bool:
    """Whether another key, not revoked, was made in place of this one."""
    query = select(ApiKey.id).where(mine(ApiKey, tenant), ApiKey.replaces == key_id, ApiKey.revoked_at.is_(None))
    return (await session.execute(query.limit(1))).first() is not None


async def list_keys(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[KeyView]:
    """All keys, newest first."""
    query, after = select(ApiKey).where(mine(ApiKey, tenant)), page.after_uuid()
    if after is not None:
        query = query.where(ApiKey.id < after)
    rows = (await session.execute(query.order_by(ApiKey.id.desc()).limit(page.limit + 1))).scalars().all()
    shown = tuple(_view(row) for row in rows[: page.limit])
    return Page(shown, cursor_of(shown[-1].id) if len(rows) > page.limit else None)


async def revoke_key(session: WriteSession, tenant: Tenant, key_id: ApiKeyId, now: datetime) -> KeyView | None:
    """Ends a key at once; None when the tenant has no such key that is not revoked."""
    change = update(ApiKey).where(mine(ApiKey, tenant), ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    done = await session.execute(
        change.values(revoked_at=now).returning(ApiKey), execution_options={"populate_existing": True}
    )
    row = done.scalar_one_or_none()
    return _view(row) if row else None


async def expire_key(session: WriteSession, tenant: Tenant, key_id: ApiKeyId, at: datetime) -> None:
    """Lets a key end at a time, or earlier if it was to end earlier."""
    change = update(ApiKey).where(mine(ApiKey, tenant), ApiKey.id == key_id)
    await session.execute(change.values(expires_at=func.least(ApiKey.expires_at, at)))


async def touch_key(
    session: WriteSession, tenant: Tenant, key_id: ApiKeyId, unused_since: datetime, now: datetime
) -> bool:
    """Notes that a key was used; False when that was noted after `unused_since` already."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= unused_since)
    change = update(ApiKey).where(mine(ApiKey, tenant), ApiKey.id == key_id, stale)
    return (await session.execute(change.values(last_used_at=now).returning(ApiKey.id))).first() is not None


_BY_PREFIX = Prepared(
    lambda _: (
        select(
            *(ApiKey.org_id, Organization.slug, Organization.deleted_at, ApiKey.key_hash),
            *(ApiKey.id, ApiKey.name, ApiKey.prefix, ApiKey.scopes, ApiKey.created_by, ApiKey.created_at),
            *(ApiKey.expires_at, ApiKey.last_used_at, ApiKey.revoked_at, ApiKey.replaces),
        )
        .join(Organization, Organization.id == ApiKey.org_id)
        .where(ApiKey.prefix == bindparam("wanted", type_=String()))
    )
)


async def find_by_prefix(session: SystemReadSession | SystemCourier, prefix: str) -> FoundKey | None:
    """The key with this prefix, whosever it is and whatever state it is in."""
    rows = await session.call(Call(_BY_PREFIX, {"wanted": prefix}))
    if not rows:
        return None
    org_id, slug, deleted_at, key_hash, key_id, name, shown, scopes, *rest = rows[0]
    key = KeyView(key_id, name, shown, frozenset(scopes), *rest)
    return FoundKey(Tenant(org_id), slug, key, key_hash, deleted_at is not None)


def _view(row: ApiKey) -> KeyView:
    return KeyView(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        scopes=frozenset(row.scopes),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        replaces=row.replaces,
    )

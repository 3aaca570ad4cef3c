"""Writing down who did what."""

from collections.abc import Mapping

from aicd_core.db.pages import Page, PageRequest
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit import repository
from aicd_core.tenancy.audit.values import JSON, NO_DETAIL, Actor, AuditFilter, AuditView, texts_in
from aicd_core.text import require_text

TEXT_MOST = 10_000
"""Characters of one text in an entry."""


async def record(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    action: str,
    target_kind: str,
    target_id: str,
    detail: Mapping[str, JSON] = NO_DETAIL,
) -> None:
    """Appends an act to the tenant's audit log, in the transaction of the act itself.

    Args:
        action: what was done, `<thing>.<past tense>`, such as `repository.connected`.
        detail: what a reader will want to know; never a secret's value.

    Raises:
        InvalidInputError: a text that the database cannot store exactly.
    """
    for text in texts_in([actor.id, action, target_kind, target_id, detail]):
        require_text(text, "A text of the audit entry", most=TEXT_MOST)
    await repository.add_entry(session, tenant, actor, action, (target_kind, target_id), dict(detail))


async def list_entries(session: ReadSession, tenant: Tenant, page: PageRequest, only: AuditFilter) -> Page[AuditView]:
    """The tenant's acts, newest first.

    Raises:
        InvalidInputError: a filter holds what no text in the database can hold.
    """
    for text in (*only.actions, only.actor_id, only.target_kind, only.target_id):
        require_text(text or "", "A filter", most=TEXT_MOST)
    return await repository.list_entries(session, tenant, page, only)

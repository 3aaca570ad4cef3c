"""Publishing an organization's policy. What the rules mean is `aicd_core.policy`'s to know: it validates them first."""

import json
from collections.abc import Mapping
from uuid import UUID

from aicd_core.db.pages import Page, PageRequest
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.ids import UserId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON, Actor, texts_in
from aicd_core.tenancy.policies import repository
from aicd_core.tenancy.policies.values import PolicyView
from aicd_core.text import require_text

RULES_MOST = 256 * 1024
"""Characters of the rules as JSON."""


async def publish(
    session: WriteSession, tenant: Tenant, actor: Actor, rules: Mapping[str, JSON], *, expected: int, note: str = ""
) -> PolicyView:
    """Makes rules the organization's policy, as its next version.

    Args:
        rules: validated and JSON-able: `Rules.model_dump(mode="json")`.
        expected: the version that these rules were made from; 0 when there was none.

    Raises:
        InvalidInputError: the rules or the note cannot be stored.
        ConflictError: the newest version is another one; of two that publish at once one wins.
    """
    require_text(note, "The policy's note", most=1000)
    _require_storable(rules)
    newest = await repository.get_newest(session, tenant)
    author = UserId(UUID(actor.id)) if actor.kind is ActorKind.USER else None
    made = None
    if (newest.version if newest else 0) == expected:
        made = await repository.insert_version(session, tenant, expected + 1, dict(rules), note, author)
    if made is None:
        raise ConflictError(
            f"The policy is no longer at version {expected}. Read the newest one and publish your change on top of it.",
            code="stale_revision",
        )
    await record(session, tenant, actor, "policy.published", "policy", str(made.id), {"version": made.version})
    return made


async def newest(session: ReadSession, tenant: Tenant) -> PolicyView | None:
    """The version that counts; None when the organization has no policy of its own."""
    return await repository.get_newest(session, tenant)


async def list_versions(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[PolicyView]:
    """All versions, newest first."""
    return await repository.list_versions(session, tenant, page)


async def require_version(session: ReadSession, tenant: Tenant, version: int) -> PolicyView:
    """One version.

    Raises:
        NotFoundError: the organization has no such version.
    """
    found = await repository.get_version(session, tenant, version) if 0 < version <= repository.MOST_VERSION else None
    if found is None:
        raise NotFoundError(f"The policy has no version {version}.", code="no_such_version")
    return found


def _require_storable(rules: Mapping[str, JSON]) -> None:
    try:
        document = json.dumps(dict(rules), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"The policy's rules are no JSON document: {error}.", code="bad_rules") from error
    if len(document) > RULES_MOST:
        raise InvalidInputError(
            f"The policy's rules have {len(document):,} characters as JSON; they may have {RULES_MOST:,}.",
            code="bad_length",
        )
    for text in texts_in(rules):
        require_text(text, "A text of the policy's rules", most=RULES_MOST)

"""Who may start and steer jobs: asked of GitHub at the moment, decided by the organization's rules."""

from dataclasses import dataclass

from aicd_core.db.database import Database
from aicd_core.tenancy.organizations.repository import get_settings
from aicd_core.tenancy.triggers import (
    AuthorAssociation,
    TriggerActor,
    TriggerActorKind,
    TriggerDecision,
    may_trigger,
)
from aicd_github.webhooks.parts import Account
from aicd_github.webhooks.places import Place

NOBODY = TriggerDecision(allowed=False, code="trigger_unknown", reason="GitHub does not say who did it.")


@dataclass(frozen=True)
class Gate:
    """Lets people in."""

    database: Database

    async def decide(
        self, place: Place, sender: Account | None, association: AuthorAssociation = AuthorAssociation.NONE
    ) -> TriggerDecision:
        """Whether this account may do so here, now.

        Raises:
            AicdError: GitHub cannot be asked.
        """
        if sender is None:
            return NOBODY
        async with self.database.read(place.tenant) as session:
            rules = (await get_settings(session, place.tenant)).values.trigger_rules()
        ourselves = sender.login.lower() == (await place.desk.login()).lower()
        person = sender.kind is TriggerActorKind.PERSON and not ourselves
        permission = await place.desk.permission_of(sender.login) if person else None
        return may_trigger(TriggerActor(sender.login, sender.kind, permission, association, ourselves), rules)

"""Who may start work: a pure decision on what a code host says of whoever asked. Refusal is the default.

Text in an issue is a stranger's; the act that starts a job (a label, a command in a comment) must be a trusted
person's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from aicd_core.text import one_line

BOT_SUFFIX = "[bot]"
"""How GitHub ends the login of an app's account: https://docs.github.com/apps. No person's login can end so."""


class TriggerActorKind(StrEnum):
    """What kind of account acted; a code host's other kinds (organization, placeholder of an import) are `other`."""

    PERSON = "person"
    BOT = "bot"
    OTHER = "other"


class RepositoryPermission(StrEnum):
    """What an account may do with a repository, as its code host says, the least first."""

    NONE = "none"
    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"


class AuthorAssociation(StrEnum):
    """How an account stands to a repository, as GitHub says; it never proves write access, so it only words refusals.

    https://docs.github.com/graphql/reference/enums#commentauthorassociation
    """

    OWNER = "OWNER"
    MEMBER = "MEMBER"
    COLLABORATOR = "COLLABORATOR"
    CONTRIBUTOR = "CONTRIBUTOR"
    FIRST_TIME_CONTRIBUTOR = "FIRST_TIME_CONTRIBUTOR"
    FIRST_TIMER = "FIRST_TIMER"
    MANNEQUIN = "MANNEQUIN"
    NONE = "NONE"


RANK: Mapping[RepositoryPermission, int] = MappingProxyType(
    {permission: rank for rank, permission in enumerate(RepositoryPermission)}
)
LEAST_TRUSTED = RepositoryPermission.TRIAGE
"""No organization may ask for less: whoever can only read a public repository is anybody."""

STANDING: Mapping[AuthorAssociation, str] = MappingProxyType(
    {
        AuthorAssociation.MEMBER: "a member of its organization",
        AuthorAssociation.COLLABORATOR: "a collaborator",
        AuthorAssociation.CONTRIBUTOR: "a contributor",
        AuthorAssociation.FIRST_TIME_CONTRIBUTOR: "a first-time contributor",
        AuthorAssociation.FIRST_TIMER: "new to the code host",
    }
)


@dataclass(frozen=True)
class TriggerActor:
    """Whoever asked for work.

    Args:
        login: the account's name at the code host.
        permission: on the repository, asked of the code host when the act came in; None when it could not be asked.
        ourselves: it is AI-CD's own account.
    """

    login: str
    kind: TriggerActorKind
    permission: RepositoryPermission | None
    association: AuthorAssociation = AuthorAssociation.NONE
    ourselves: bool = False


@dataclass(frozen=True)
class TriggerRules:
    """What an organization allows: which bots, by login, and the least permission that a person needs."""

    allowed_bots: tuple[str, ...] = ()
    minimum_permission: RepositoryPermission = RepositoryPermission.WRITE


@dataclass(frozen=True)
class TriggerDecision:
    """Whether work may start; when not, a stable code and a sentence that says why and what to do."""

    allowed: bool
    code: str | None = None
    reason: str | None = None


ALLOW = TriggerDecision(allowed=True)


def may_trigger(actor: TriggerActor, rules: TriggerRules) -> TriggerDecision:
    """Decides on one act. A bot that is listed needs no permission of its own: hosts report none for apps.

    Codes of refusals: `trigger_ourselves`, `trigger_bot`, `trigger_account`, `trigger_unknown_permission`,
    `trigger_permission`.
    """
    login = one_line(actor.login, 80)
    if actor.ourselves:
        return _refuse("trigger_ourselves", "AI-CD does not act on what it wrote itself, so that no loop comes of it.")
    if actor.kind is TriggerActorKind.BOT or actor.login.lower().endswith(BOT_SUFFIX):
        return _of_bot(actor.login, login, rules)
    if actor.kind is not TriggerActorKind.PERSON or actor.association is AuthorAssociation.MANNEQUIN:
        return _refuse("trigger_account", f"{login} is no person's account. A person has to ask for it.")
    return _of_person(actor, login, rules)


def _of_bot(exact: str, login: str, rules: TriggerRules) -> TriggerDecision:
    if exact.lower() in {listed.lower() for listed in rules.allowed_bots}:
        return ALLOW
    return _refuse(
        "trigger_bot",
        f"{login} is a bot, and bots start no work here unless the organization's settings list them "
        "(`allowed_bots`). A person has to ask for it.",
    )


def _of_person(actor: TriggerActor, login: str, rules: TriggerRules) -> TriggerDecision:
    needed = rules.minimum_permission
    if actor.permission is None:
        return _refuse(
            "trigger_unknown_permission",
            f"The code host did not say what {login} may do with this repository. Ask once more.",
        )
    if RANK[actor.permission] >= RANK[needed]:
        return ALLOW
    known_as = STANDING.get(actor.association)
    standing = f", {known_as}," if known_as else ""
    return _refuse(
        "trigger_permission",
        f"{login}{standing} has the permission {actor.permission.value!r} on this repository; to start work takes "
        f"{needed.value!r} or more. Somebody who has it has to ask for it.",
    )


def _refuse(code: str, reason: str) -> TriggerDecision:
    return TriggerDecision(allowed=False, code=code, reason=reason)

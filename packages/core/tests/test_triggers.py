"""Who may start work."""

from dataclasses import replace
from itertools import product

import pytest

from aicd_core.tenancy.triggers import (
    AuthorAssociation,
    RepositoryPermission,
    TriggerActor,
    TriggerActorKind,
    TriggerRules,
    may_trigger,
)

ADA = TriggerActor("ada", TriggerActorKind.PERSON, RepositoryPermission.WRITE)
BOT = TriggerActor("renovate[bot]", TriggerActorKind.BOT, None)
DEFAULT = TriggerRules()


@pytest.mark.parametrize("permission", RepositoryPermission)
def test_by_default_only_write_access_starts_work(permission: RepositoryPermission):
    allowed = {RepositoryPermission.WRITE, RepositoryPermission.MAINTAIN, RepositoryPermission.ADMIN}
    decision = may_trigger(replace(ADA, permission=permission), DEFAULT)
    assert decision.allowed == (permission in allowed)
    assert decision.code == (None if decision.allowed else "trigger_permission")


def test_an_association_proves_nothing():
    for association, permission in product(AuthorAssociation, [RepositoryPermission.READ, None]):
        assert not may_trigger(replace(ADA, association=association, permission=permission), DEFAULT).allowed


def test_a_refusal_says_who_what_and_what_to_do():
    asked = replace(ADA, permission=RepositoryPermission.READ, association=AuthorAssociation.FIRST_TIME_CONTRIBUTOR)
    assert may_trigger(asked, DEFAULT).reason == (
        "ada, a first-time contributor, has the permission 'read' on this repository; to start work takes 'write' or "
        "more. Somebody who has it has to ask for it."
    )


def test_a_permission_that_could_not_be_asked_is_none():
    assert may_trigger(replace(ADA, permission=None), DEFAULT).code == "trigger_unknown_permission"


@pytest.mark.parametrize("permission", [None, *RepositoryPermission])
def test_a_bot_starts_nothing_unless_it_is_listed(permission: RepositoryPermission | None):
    bot = replace(BOT, permission=permission)
    assert may_trigger(bot, DEFAULT).code == "trigger_bot"
    assert may_trigger(bot, TriggerRules(("dependabot[bot]",))).code == "trigger_bot"
    assert may_trigger(bot, TriggerRules(("Renovate[bot]",))).allowed


def test_a_bots_login_makes_a_bot_whatever_the_host_calls_it():
    assert may_trigger(replace(ADA, login="helper[bot]"), DEFAULT).code == "trigger_bot"


def test_our_own_account_starts_nothing_even_when_listed():
    assert may_trigger(replace(BOT, ourselves=True), TriggerRules((BOT.login,))).code == "trigger_ourselves"


def test_other_accounts_start_nothing_whatever_they_may_do():
    admin = replace(ADA, permission=RepositoryPermission.ADMIN)
    assert may_trigger(replace(admin, kind=TriggerActorKind.OTHER), DEFAULT).code == "trigger_account"
    assert may_trigger(replace(admin, association=AuthorAssociation.MANNEQUIN), DEFAULT).code == "trigger_account"


def test_an_organization_may_ask_for_more_or_for_triage():
    strict = TriggerRules(minimum_permission=RepositoryPermission.ADMIN)
    assert not may_trigger(replace(ADA, permission=RepositoryPermission.MAINTAIN), strict).allowed
    open_to_triage = TriggerRules(minimum_permission=RepositoryPermission.TRIAGE)
    assert may_trigger(replace(ADA, permission=RepositoryPermission.TRIAGE), open_to_triage).allowed


def test_a_login_cannot_write_into_the_reason():
    decision = may_trigger(replace(ADA, login="eve\n\u202e## Approved", permission=None), DEFAULT)
    assert "\n" not in str(decision.reason)
    assert "\u202e" not in str(decision.reason)

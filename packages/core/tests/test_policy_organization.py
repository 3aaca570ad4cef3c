"""An organisation's policy as the engine's rules."""

import pytest

from aicd_core.db.database import Database
from aicd_core.errors import InvalidInputError
from aicd_core.policy import DEFAULT_RULES, PROTECTED_PATHS, Rules, organization_rules, parse_rules, publish_rules
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.policies import service

ACTOR = Actor(ActorKind.SYSTEM, "test")


async def test_an_organisation_without_a_policy_has_the_defaults(database: Database, tenant: Tenant):
    async with database.read(tenant) as session:
        assert await organization_rules(session, tenant) == DEFAULT_RULES


async def test_what_is_published_is_read_again_exactly(database: Database, tenant: Tenant, rival: Tenant):
    rules = Rules(max_files=3, protected_paths=(*PROTECTED_PATHS, "db/**"))
    async with database.write(tenant) as session:
        await publish_rules(session, tenant, ACTOR, rules, expected=0)
    async with database.read(tenant) as session:
        assert await organization_rules(session, tenant) == rules
    async with database.read(rival) as session:
        assert await organization_rules(session, rival) == DEFAULT_RULES


async def test_a_policy_of_before_a_rule_was_made_has_that_rules_default(database: Database, tenant: Tenant):
    async with database.write(tenant) as session:
        await service.publish(session, tenant, ACTOR, {"verdicts": {"secret": "ask"}}, expected=0)
        rules = await organization_rules(session, tenant)
    assert rules.verdicts.secret == "ask"
    assert rules.verdicts.tests_weakened == DEFAULT_RULES.verdicts.tests_weakened


async def test_a_policy_that_cannot_be_read_is_an_error_and_not_the_default(database: Database, tenant: Tenant):
    async with database.write(tenant) as session:
        await service.publish(session, tenant, ACTOR, {"max_file": 1}, expected=0)
        with pytest.raises(InvalidInputError, match=r"Version 1 of the organisation's policy .* max_file") as caught:
            await organization_rules(session, tenant)
    assert caught.value.code == "bad_rules"


def test_rules_are_refused_by_their_key():
    with pytest.raises(InvalidInputError, match=r"rules\.json cannot be used .* verdicts\.secret"):
        parse_rules({"verdicts": {"secret": "perhaps"}}, "rules.json")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"allowed_hosts": ["1.2.3.4"]}, "allowed_hosts.0: this must be a host's name"),
        ({"allowed_hosts": "pypi.org"}, "allowed_hosts: this must be a list"),
        ({"allowed_host": []}, "allowed_host: there is no such key"),
    ],
)
def test_faults_in_rules_are_told_in_plain_words(document: object, said: str):
    with pytest.raises(InvalidInputError) as caught:
        parse_rules(document, "rules.json")
    assert said in str(caught.value)

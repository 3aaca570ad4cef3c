"""Who may do what: the whole table, and the reason for every no."""

import pytest

from aicd_core.errors import ErrorKind, ForbiddenError
from aicd_core.tenancy.permissions import (
    EVERYTHING,
    GRANTS,
    Access,
    Permission,
    Role,
    check,
    check_give,
    check_scopes,
    powers_of_role,
    powers_of_scopes,
)

TABLE = """
                   owner admin developer viewer billing
org:read           yes   yes   yes       yes    yes
org:edit           yes   yes   no        no     no
org:delete         yes   no    no        no     no
members:read       yes   yes   yes       yes    yes
members:edit       yes   yes   no        no     no
repositories:read  yes   yes   yes       yes    no
repositories:edit  yes   yes   no        no     no
policies:read      yes   yes   yes       yes    no
policies:edit      yes   yes   no        no     no
jobs:read          yes   yes   yes       yes    no
jobs:create        yes   yes   yes       no     no
jobs:steer         yes   yes   yes       no     no
usage:read         yes   yes   yes       yes    yes
billing:read       yes   yes   no        no     yes
billing:edit       yes   no    no        no     yes
keys:edit          yes   yes   no        no     no
secrets:edit       yes   yes   no        no     no
audit:read         yes   yes   no        no     no
"""


def cells() -> list[tuple[Role, Permission, bool]]:
    header, *lines = (line.split() for line in TABLE.strip().splitlines())
    return [
        (Role(role), Permission(line[0]), answer == "yes")
        for line in lines
        for role, answer in zip(header, line[1:], strict=True)
    ]


def test_the_table_names_every_role_and_every_permission():
    assert {(role, permission) for role, permission, _ in cells()} == {(r, p) for r in Role for p in Permission}
    assert set(GRANTS) == set(Role)


@pytest.mark.parametrize(("role", "permission", "allowed"), cells())
def test_a_role_may_do_what_the_table_says_and_is_told_why_not(role: Role, permission: Permission, allowed: bool):
    access = check(role, permission)
    assert bool(access) is allowed
    assert (permission in powers_of_role(role)) is allowed
    if allowed:
        assert access.reason is None
        access.require()
    else:
        assert access.reason is not None
        assert permission.value in access.reason
        assert f"the role {role.value}" in access.reason
        assert "owner" in access.reason


@pytest.mark.parametrize("permission", Permission)
def test_a_key_may_do_what_its_scopes_say_and_nothing_more(permission: Permission):
    assert check_scopes({permission.value}, permission)
    assert powers_of_scopes({permission.value}) == {permission}
    access = check_scopes({other.value for other in Permission} - {permission.value}, permission)
    assert not access
    assert access.reason == f"The key lacks the scope {permission.value}. Make one that has it."


def test_unknown_scopes_give_nothing():
    assert powers_of_scopes(["*", "org", "org:", "ORG:READ", "org:read ", ""]) == frozenset()
    assert not check_scopes(["*"], Permission.ORG_READ)


def test_a_refusal_becomes_an_error_with_the_reason():
    with pytest.raises(ForbiddenError, match="needs one of: owner") as caught:
        check(Role.ADMIN, Permission.ORG_DELETE).require("not_yours")
    assert (caught.value.kind, caught.value.code) == (ErrorKind.FORBIDDEN, "not_yours")
    assert Access("because").reason == "because"


@pytest.mark.parametrize(
    ("giver", "gives"),
    [
        (Role.OWNER, {*Role}),
        (Role.ADMIN, {Role.ADMIN, Role.DEVELOPER, Role.VIEWER}),
        (Role.DEVELOPER, {Role.DEVELOPER, Role.VIEWER}),
        (Role.VIEWER, {Role.VIEWER}),
        (Role.BILLING, {Role.BILLING}),
    ],
)
def test_nobody_gives_what_he_does_not_have(giver: Role, gives: set[Role]):
    able = {role for role in Role if check_give(powers_of_role(giver), powers_of_role(role), "It")}
    assert able == gives


def test_what_cannot_be_given_is_named():
    access = check_give(powers_of_role(Role.ADMIN), EVERYTHING, "The role owner")
    assert access.reason == (
        "The role owner carries billing:edit, org:delete, which you do not have yourself. Ask an owner to do it."
    )

"""Users and the identities that they log in with."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aicd_core.db.database import Database
from aicd_core.errors import AicdError, ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from aicd_core.ids import UserId, new_uuid
from aicd_core.tenancy.accounts import service
from aicd_core.tenancy.accounts.emails import same_email
from aicd_core.tenancy.accounts.values import IdentityClaim, UserFields, UserView

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ADA = UserFields("ada@example.com", True, "Ada")
CLAIM = IdentityClaim("https://login.example.com", "sub-1", "ada@example.com", True, "Ada L.")


async def make(database: Database, fields: UserFields = ADA) -> UserView:
    async with database.accounts() as session:
        return await service.create_user(session, fields)


async def refused(database: Database, work, kind: type[AicdError], code: str) -> None:
    with pytest.raises(kind) as caught:
        async with database.accounts() as session:
            await work(session)
    assert caught.value.code == code


async def test_a_user_is_made_and_read_as_given(database: Database):
    made = await make(database, replace(ADA, name="Åda \u202e'; DROP TABLE users; --"))
    async with database.accounts() as session:
        assert await service.get_user(session, made.id) == made
    assert (made.email, made.email_verified, made.revision) == ("ada@example.com", True, 1)
    assert made.name == "Åda \u202e'; DROP TABLE users; --"


async def test_two_users_cannot_have_one_address_whatever_its_case(database: Database):
    await make(database)
    again = replace(ADA, email="ADA@Example.com")
    await refused(database, lambda s: service.create_user(s, again), ConflictError, "email_taken")


@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("", "bad_length"),
        ("a@", "bad_length"),
        ("ada", "bad_email"),
        ("ada@@example.com", "bad_email"),
        ("ada lovelace@example.com", "bad_email"),
        ("ada@example.com\n", "bad_email"),
        ("ada\u200b@example.com", "bad_email"),
        ("\u202eada@example.com", "bad_email"),
        ("a\x00@example.com", "bad_character"),
        ("a\ud800@example.com", "bad_character"),
        ("a" * 10_000_000 + "@example.com", "bad_length"),
    ],
)
async def test_what_is_no_address_is_refused(database: Database, email: str, code: str):
    bad = replace(ADA, email=email)
    await refused(database, lambda s: service.create_user(s, bad), InvalidInputError, code)


@pytest.mark.parametrize(
    ("name", "code"), [("a" * 201, "bad_length"), ("a\x00", "bad_character"), ("\udfff", "bad_character")]
)
async def test_a_name_that_cannot_be_stored_exactly_is_refused(database: Database, name: str, code: str):
    await refused(database, lambda s: service.create_user(s, replace(ADA, name=name)), InvalidInputError, code)


async def test_an_edit_counts_only_on_what_was_read(database: Database):
    user = await make(database)
    changed = UserFields("countess@example.com", False, "Countess")
    async with database.accounts() as session:
        edited = await service.edit_user(session, user.id, 1, changed)
    assert (edited.email, edited.email_verified, edited.name, edited.revision) == (*vars(changed).values(), 2)
    await refused(database, lambda s: service.edit_user(s, user.id, 1, ADA), ConflictError, "stale_revision")
    stranger = UserId(new_uuid())
    await refused(database, lambda s: service.edit_user(s, stranger, 1, ADA), NotFoundError, "user_not_found")


async def test_an_edit_cannot_take_another_users_address(database: Database):
    user = await make(database)
    await make(database, UserFields("bob@example.com", True, "Bob"))
    taken = replace(ADA, email="BOB@example.com")
    await refused(database, lambda s: service.edit_user(s, user.id, 1, taken), ConflictError, "email_taken")


async def test_a_deleted_user_is_gone_until_he_is_brought_back(database: Database):
    user = await make(database)
    async with database.accounts() as session:
        await service.link_identity(session, user.id, CLAIM)
        await service.delete_user(session, user.id, 1, NOW)
    for work in (
        lambda s: service.get_user(s, user.id),
        lambda s: service.edit_user(s, user.id, 2, ADA),
        lambda s: service.delete_user(s, user.id, 2, NOW),
    ):
        await refused(database, work, NotFoundError, "user_not_found")
    await refused(database, lambda s: service.user_of_login(s, CLAIM), ForbiddenError, "user_deleted")
    async with database.accounts() as session:
        restored = await service.restore_user(session, user.id)
        assert await service.user_of_login(session, CLAIM) == restored
    assert (restored.deleted_at, restored.revision) == (None, 3)
    await refused(database, lambda s: service.restore_user(s, user.id), NotFoundError, "user_not_found")


async def test_a_deleted_users_address_is_free_and_then_he_cannot_have_it_back(database: Database):
    user = await make(database)
    async with database.accounts() as session:
        await service.delete_user(session, user.id, 1, NOW)
    await make(database)
    await refused(database, lambda s: service.restore_user(s, user.id), ConflictError, "email_taken")


async def test_a_login_finds_its_user_by_issuer_and_subject(database: Database):
    async with database.accounts() as session:
        first = await service.user_of_login(session, CLAIM)
        changed = replace(CLAIM, email="new@example.com", email_verified=False)
        assert await service.user_of_login(session, changed) == first
        other = await service.user_of_login(session, replace(CLAIM, subject="sub-2", email="bob@example.com"))
        assert await service.find_by_identity(session, "https://elsewhere.example.com", "sub-1") is None
    assert (first.email, first.name, first.email_verified) == ("ada@example.com", "Ada L.", True)
    assert other.id != first.id


async def test_a_second_login_is_linked_when_both_sides_verified_the_same_address(database: Database):
    user = await make(database)
    claim = replace(CLAIM, email="Ada@EXAMPLE.com")
    async with database.accounts() as session:
        assert await service.user_of_login(session, claim) == user
        assert await service.link_identity(session, user.id, claim) == user
        assert await service.find_by_identity(session, claim.issuer, claim.subject) == user


@pytest.mark.parametrize(
    ("ours", "theirs", "email", "code"),
    [
        (True, False, "ada@example.com", "email_unverified"),
        (False, True, "ada@example.com", "email_unverified"),
        (False, False, "ada@example.com", "email_unverified"),
        (True, True, "ad@example.com", "email_differs"),
        (True, True, "ada@example.com.evil.example", "email_differs"),
    ],
)
async def test_a_login_is_not_linked_otherwise(database: Database, ours: bool, theirs: bool, email: str, code: str):
    user = await make(database, replace(ADA, email_verified=ours))
    claim = replace(CLAIM, email=email, email_verified=theirs)
    await refused(database, lambda s: service.link_identity(s, user.id, claim), ForbiddenError, code)
    async with database.accounts() as session:
        assert await service.find_by_identity(session, claim.issuer, claim.subject) is None


async def test_an_unverified_address_opens_no_account_and_no_new_one(database: Database):
    unverified = replace(CLAIM, email_verified=False)
    await refused(database, lambda s: service.user_of_login(s, unverified), ForbiddenError, "email_unverified")
    await make(database)
    await refused(database, lambda s: service.user_of_login(s, unverified), ForbiddenError, "email_unverified")


async def test_an_identity_belongs_to_one_user(database: Database):
    user = await make(database)
    other = await make(database, UserFields("bob@example.com", True, "Bob"))
    async with database.accounts() as session:
        await service.link_identity(session, user.id, CLAIM)
    stolen = replace(CLAIM, email="bob@example.com")
    await refused(database, lambda s: service.link_identity(s, other.id, stolen), ConflictError, "identity_taken")


def test_look_alike_addresses_are_not_the_same():
    assert same_email("Ada@Example.com", "aDA@eXAMPLE.COM")
    assert not same_email("mi\u212ae@example.com", "mike@example.com")
    assert not same_email("ad\u0131@example.com", "adi@example.com")

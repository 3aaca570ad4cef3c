"""Tokens: known by their look, refused when mistyped, never shown by accident."""

import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicd_core.errors import ErrorKind, UnauthenticatedError
from aicd_core.tenancy.tokens import ALPHABET, TokenKind, checksum, hash_token, new_token, parse_token, same_hash


@pytest.mark.parametrize("kind", TokenKind)
def test_a_new_token_has_the_form_that_scanners_know(kind: TokenKind):
    token = new_token(kind)
    product, word, prefix, rest = token.reveal().split("_")
    assert (product, word, prefix) == ("aicd", kind.value, token.prefix)
    assert (len(prefix), len(rest)) == (8, 38)
    assert set(prefix + rest) <= set(ALPHABET)


def test_no_two_tokens_are_alike():
    tokens = [new_token(TokenKind.API_KEY) for _ in range(200)]
    assert len({token.reveal() for token in tokens}) == 200
    assert len({token.prefix for token in tokens}) == 200


@pytest.mark.parametrize("kind", TokenKind)
def test_a_token_is_read_back_with_its_hash(kind: TokenKind):
    token = new_token(kind)
    again = parse_token(token.reveal(), kind)
    assert (again.kind, again.prefix) == (kind, token.prefix)
    assert same_hash(hash_token(again), hash_token(token))
    assert not same_hash(hash_token(new_token(kind)), hash_token(token))
    assert len(hash_token(token)) == 32


def test_every_single_mistyped_character_is_noticed():
    text = new_token(TokenKind.SESSION).reveal()
    for place, right in enumerate(text):
        wrong = "x" if right != "x" else "y"
        with pytest.raises(UnauthenticatedError) as caught:
            parse_token(text[:place] + wrong + text[place + 1 :], TokenKind.SESSION)
        assert caught.value.code == "malformed_token"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.replace("_", "-"),
        lambda text: text[:-1] + "\u0660",
        lambda text: text[:-1] + "\udc80",
        lambda text: text + "\x00",
        lambda text: "a" * 1_000_000,
    ],
)
def test_what_is_not_a_whole_token_is_refused_without_repeating_it(spoil):
    spoilt = spoil(new_token(TokenKind.API_KEY).reveal())
    with pytest.raises(UnauthenticatedError) as caught:
        parse_token(spoilt, TokenKind.API_KEY)
    assert caught.value.code == "malformed_token"
    assert caught.value.kind is ErrorKind.UNAUTHENTICATED
    assert len(caught.value.message) < 300


@given(st.text())
def test_any_text_is_refused_or_a_token(text: str):
    with pytest.raises(UnauthenticatedError):
        parse_token(text, TokenKind.API_KEY)


def test_a_token_of_another_kind_is_refused_by_what_it_is():
    text = new_token(TokenKind.INVITATION).reveal()
    with pytest.raises(UnauthenticatedError, match="begins with aicd_inv_; one that begins with aicd_key_") as caught:
        parse_token(text, TokenKind.API_KEY)
    assert caught.value.code == "wrong_token_kind"
    assert text not in caught.value.message


def test_nothing_that_prints_a_token_shows_its_secret():
    token = new_token(TokenKind.API_KEY)
    secret = token.reveal().rpartition("_")[2]
    for shown in (repr(token), str(token), f"{token}", f"{token!r:>200}", repr([token])):
        assert secret not in shown
        assert token.prefix in shown


def test_tokens_are_not_compared_by_their_text():
    token = new_token(TokenKind.API_KEY)
    assert token != parse_token(token.reveal(), TokenKind.API_KEY)


@pytest.mark.parametrize("body", ["", "a", "aicd_key_00000000_"])
def test_the_checksum_is_crc32_in_six_digits_of_base_62(body: str):
    number = 0
    for digit in checksum(body):
        number = number * 62 + (string.digits + string.ascii_uppercase + string.ascii_lowercase).index(digit)
    assert (number, len(checksum(body))) == (zlib.crc32(body.encode()), 6)

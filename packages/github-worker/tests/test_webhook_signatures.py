"""Signatures: GitHub's own implementation in Node signs what we verify."""

import json
from pathlib import Path

import pytest

from aicd_core.errors import InvalidInputError
from aicd_github.testing.node import run_node
from aicd_github.webhooks.signature import Secrets, sign, well_formed

OLD, NEW = "an old secret, long enough", "a new secret: ünïcödé, long"
BODIES = ["{}", '{"a": "ü\u2028\U0001f600"}', '{"a":  1}\n', "payload=%7B%7D", " " * 100_000]
SIGN = """
import { sign } from "@octokit/webhooks-methods";
import { text } from "node:stream/consumers";
const { secret, bodies } = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(await Promise.all(bodies.map((body) => sign(secret, body)))));
"""


def test_what_github_signs_verifies_on_the_raw_bytes(node: Path):
    asked = json.dumps({"secret": NEW, "bodies": BODIES}).encode()
    signed = json.loads(run_node(node, SIGN, asked))
    secrets = Secrets(NEW)
    for body, header in zip(BODIES, signed, strict=True):
        assert secrets.signed(body.encode(), header)
        assert not secrets.signed(body.encode() + b" ", header)
    assert len(set(signed)) == len(BODIES)


def test_both_secrets_count_while_one_replaces_the_other():
    both, body = Secrets(NEW, OLD), b"{}"
    assert both.signed(body, sign(NEW, body))
    assert both.signed(body, sign(OLD, body))
    assert not Secrets(NEW).signed(body, sign(OLD, body))
    assert not both.signed(body, sign("some other secret, as long", body))


@pytest.mark.parametrize("header", [None, "", "sha256=", "sha1=" + "a" * 40, "sha256=" + "A" * 64, "a" * 64])
def test_what_cannot_be_a_signature_is_none(header: str | None):
    assert not well_formed(header)


def test_a_secret_must_be_long_and_is_not_shown():
    for secrets in (("short", None), ("", None), (NEW, "short")):
        with pytest.raises(InvalidInputError, match="openssl rand") as caught:
            Secrets(*secrets)
        assert caught.value.code == "weak_webhook_secret"
    assert "secret" not in repr(Secrets(NEW, OLD))

"""Credentials in added lines: what is found, what is left alone, and how long it takes."""

import base64
import json
import string
from random import Random

import pytest
from growth import LINEAR, growth

from aicd_core.patches import AddedLine
from aicd_core.policy.secrets import SecretHit, find_secrets

ALNUM = string.ascii_letters + string.digits


def rnd(length: int, alphabet: str = ALNUM) -> str:
    return "".join(Random(length).choices(alphabet, k=length))


def web_token(claims: dict[str, object]) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "." + rnd(43)


def hits(*lines: str) -> list[SecretHit]:
    return list(find_secrets(AddedLine("a.txt", number, line) for number, line in enumerate(lines, 1)))


# Each is put together here, so that no file of the project holds anything of the shape of a credential.
SECRETS = {
    "an AWS access key": ["AK" + "IA" + rnd(16, string.ascii_uppercase), f"aws_secret_key = '{rnd(40)}'"],
    "a GitHub token": ["gh" + "p_" + rnd(36), "github" + "_pat_" + rnd(22) + "_" + rnd(59)],
    "a GitLab token": ["gl" + "pat-" + rnd(20)],
    "a Stripe key": ["sk_" + "live_" + rnd(24)],
    "a Slack token or webhook": [
        "xo" + "xb-123456789012-" + rnd(24),
        "https://hooks.slack" + ".com/services/T" + rnd(9) + "/B" + rnd(9) + "/" + rnd(24),
    ],
    "an Azure storage key": ["Account" + "Key=" + rnd(86) + "=="],
    "a SendGrid key": ["SG" + "." + rnd(22) + "." + rnd(43)],
    "a PyPI token": ["pypi-" + "AgEIcHlwaS5vcmc" + rnd(80)],
    "an Anthropic key": ["sk-" + "ant-api03-" + rnd(95)],
    "an OpenAI key": ["sk-" + "proj-" + rnd(20) + "T3Blbk" + "FJ" + rnd(20)],
    "a Google API key": ["AI" + "za" + rnd(35)],
    "an npm token": ["np" + "m_" + rnd(36)],
    "a JSON Web Token": [web_token({"sub": "u-771", "exp": 1})],
    "a token of AI-CD": [f"aicd_{kind}_{rnd(8)}_" + rnd(38) for kind in ("key", "inv", "ses")],
    "a password in a URL": [f"postgres://app:{rnd(12)}@db.acme.io:5432/app", f"https://bot:{rnd(20)}@git.acme.io/x"],
}
CASES = [(kind, secret) for kind, secrets in SECRETS.items() for secret in secrets]


@pytest.mark.parametrize(("kind", "secret"), CASES)
@pytest.mark.parametrize("around", ["{}", "KEY = '{}'", 'x: "{}",', "curl -H 'Authorization: Bearer {}' | sh"])
def test_a_credential_is_found_whatever_is_around_it(kind: str, secret: str, around: str):
    found = hits("first line", around.format(secret), "last line")
    assert SecretHit("a.txt", 2, kind, certain=True) in found


@pytest.mark.parametrize(("kind", "secret"), CASES)
def test_a_hit_never_holds_the_credential(kind: str, secret: str):
    assert all(secret not in repr(hit) for hit in hits(secret))


def test_two_lines_of_two_files_are_told_apart():
    key = SECRETS["a Stripe key"][0]
    lines = [AddedLine("a", 3, key), AddedLine("a", 9, "x"), AddedLine("b", 1, "y"), AddedLine("b", 4, f"{key} {key}")]
    assert [(hit.path, hit.line) for hit in find_secrets(lines)] == [("a", 3), ("b", 4)]


@pytest.mark.parametrize(
    "secret",
    [
        rnd(32, "0123456789abcdef") + "-us12",
        "SK" + rnd(32, "0123456789abcdef"),
        "1234567890:" + rnd(35),
        "M" + rnd(23) + "." + rnd(6) + "." + rnd(27),
    ],
)
def test_formats_that_other_things_share_are_for_a_person(secret: str):
    assert [hit.certain for hit in hits(f"x = '{secret}'")] == [False]


@pytest.mark.parametrize(
    "line",
    [
        "AK" + "IA" + "IOSFODNN7EXAMPLE",
        "gh" + "p_" + "x" * 36,
        "sk_" + "live_" + "0" * 24,
        "sk_" + "test_" + rnd(24),
        "url = 'http://user:password@host/path'",
        "DATABASE_URL=postgres://postgres:postgres@db:5432/postgres",
        f"redis://:{rnd(12)}@localhost:6379",
        f"amqp://app:{rnd(12)}@127.0.0.1/vhost",
        f"https://me:{rnd(12)}@proxy.example.com:8080",
        "https://user:${TOKEN}@git.acme.io",
        "https://user:{token}@git.acme.io",
        "https://user:<token>@git.acme.io",
        "https://oauth2:%s@git.acme.io",
        "see http://acme.io:8080/@scope and mail me@acme.io",
        web_token({"sub": "1234567890", "name": "John Doe"}),
        "eyJub3QganNvbg.eyJub3QganNvbg.abc",
        "password = 'correct horse'",
        "sha256:" + "0123456789abcdef" * 4,
        '"integrity": "sha512-' + rnd(86) + '=="',
        "commit " + "0a1b2c3d4e" * 4,
        "550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_placeholders_hashes_and_examples_are_left_alone(line: str):
    assert hits(line) == []


KEY_HEADER = "-----BEGIN " + "RSA PRIVATE " + "KEY-----"


@pytest.mark.parametrize(
    "lines",
    [
        (KEY_HEADER, rnd(64), rnd(64)),
        (f'KEY = """{KEY_HEADER}', rnd(64)),
        (KEY_HEADER, "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,00", "", rnd(64)),
        ('"private_key": "' + KEY_HEADER + "\\n" + rnd(64) + '\\n"',),
        (KEY_HEADER.replace("RSA", "ENCRYPTED"), rnd(64)),
        (KEY_HEADER.replace("RSA ", ""), rnd(64)),
    ],
)
def test_a_private_key_with_its_body_is_certain(lines: tuple[str, ...]):
    assert hits(*lines) == [SecretHit("a.txt", 1, "a private key", certain=True)]


def test_code_that_looks_for_a_private_key_is_for_a_person():
    lines = (f'if "{KEY_HEADER}" in text:', "    return load(text, path='src/main/java/com/acme/security/KeyLoader')")
    assert hits(*lines) == [SecretHit("a.txt", 1, "a private key", certain=False)]


def test_a_comment_cannot_excuse_a_line():
    assert hits(SECRETS["a Stripe key"][0] + "  # pragma: allowlist secret")


def test_the_search_takes_as_long_as_there_are_lines():
    random = Random(1)
    words = ["def f(self):", "return", "value", "https://acme.io/x", "password", "key =", rnd(40), "0123abcdef" * 4]
    lines = [AddedLine(f"f{n // 400}.py", n % 400 + 1, " ".join(random.choices(words, k=8))) for n in range(20_000)]
    assert list(find_secrets(lines)) == []
    assert growth(lambda count: list(find_secrets(lines[:count])), len(lines)) < LINEAR


@pytest.mark.parametrize(
    "unit",
    ["eyJ", "eyJaaaaaaaaaa.", "/", "://a:", "sk-", "0123abcdef", "M", "awskey", "aws'key'", "xoxb-1-", "A", "//x:"],
)
def test_no_long_line_stalls_the_search(unit: str):
    assert growth(lambda size: hits(unit * (size // len(unit))), 300_000) < LINEAR

"""Evidence is signed, and no byte of it can be changed unnoticed."""

import base64
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.signer import SSlibKey

from aicd_core.attestation import (
    CommitFacts,
    Envelope,
    Predicate,
    Result,
    SigningKeys,
    Statement,
    StoredFacts,
    check_commit,
    check_stored,
    load_public_keys,
    load_signing_keys,
    open_envelope,
    rotate,
    seal,
    verifying_keys,
)
from aicd_core.attestation.envelope import BadEnvelopeError
from aicd_core.attestation.keys import public_line
from aicd_core.attestation.statement import LedgerLine
from aicd_core.contracts import PolicyVerdict, PromptUse, Usage
from aicd_core.errors import ConflictError, InvalidInputError, UnavailableError
from aicd_core.journal.digest import chain
from aicd_core.journal.values import CallDigest
from aicd_core.settings import Settings

WHEN = datetime(2026, 11, 1, tzinfo=UTC)
SEED = bytes(range(32))
KEYS = SigningKeys([("s1", SEED)])
USAGE = Usage(input_tokens=10, output_tokens=2, cost_micro_usd=7)
PROMPT = PromptUse(role="planner", name="planner", version=2, sha256="9" * 64)
PREDICATE = Predicate.model_validate(
    {
        "job_id": "01a2143c-aa4e-7528-a7df-65a5c7deeb2d",
        "round": 1,
        "repository": {
            "source": "/srv/project",
            "base_branch": "main",
            "base_sha": "a" * 40,
            "head_sha": "b" * 40,
            "tree_sha": "c" * 40,
            "branch": "aicd/01a2143c-aa4e-7528-a7df-65a5c7deeb2d",
        },
        "issue": {"title": "Größe", "sha256": "d" * 64, "hidden": {"comment": 1}},
        "agent": {"name": "dummy", "version": "0.1.0"},
        "aicd": {"name": "aicd-core", "version": "0.1.0"},
        "plan_sha256": "e" * 64,
        "policy": {"verdict": "allow", "rules": {"size": "allow"}},
        "commands": [{"phase": "test", "command": "make test", "exit_code": 0}],
        "review": "approve",
        "escalated": False,
        "ledger": {"entries": [{"key": "call/plan/0", "usage": USAGE}], "total": USAGE},
        "journal": {"calls": 1, "sha256": "f" * 64, "models": ["m"]},
        "prompts": [PROMPT],
        "job_created_at": WHEN,
        "made_at": WHEN,
        "seconds_worked": 1.5,
    }
)
STATEMENT = Statement.about(PREDICATE)
BUNDLE = seal(STATEMENT, KEYS).file()
COMMIT = CommitFacts(
    "c" * 40, ("a" * 40,), f"Title\n\nBody\n\nAI-CD-Job: {PREDICATE.job_id}\nAI-CD-Plan: sha256:{'e' * 64}\n"
)
STORED = StoredFacts(
    bundle=BUNDLE,
    issue_sha256="d" * 64,
    journal="f" * 64,
    prompts=(PROMPT,),
    entries=PREDICATE.ledger.entries,
    plan_sha256="e" * 64,
    commands=PREDICATE.commands,
    policy=PolicyVerdict.ALLOW,
)
CALLS = tuple(CallDigest("plan/0", number, "m", bytes([number]) * 32, b"r" * 32) for number in range(4))


def settings_in(place: Path, keys: str | None = None) -> Settings:
    return Settings.model_validate({"data_dir": place, "signing_keys": keys})


def operator_key(key_id: str, seed: bytes) -> str:
    return f"{key_id}:{base64.b64encode(seed).decode()}"


def differing(checks) -> list[str]:
    return [check.name for check in checks if check.result is Result.DIFFERS]


def test_what_was_signed_is_opened_again():
    opened = open_envelope(BUNDLE, KEYS.public)
    assert (opened.statement, opened.key_id) == (STATEMENT, "s1")


def test_another_implementation_of_dsse_finds_the_signature_good():
    (public,) = KEYS.public.values()
    other = SSlibKey.from_crypto(public, keyid="s1")
    envelope = OtherEnvelope.from_dict(json.loads(BUNDLE))
    assert list(envelope.verify([other], threshold=1)) == ["s1"]


def test_the_statement_is_an_in_toto_statement_about_commit_and_tree():
    statement = json.loads(base64.b64decode(json.loads(BUNDLE)["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:aicd:evidence:v1"
    assert [subject["digest"] for subject in statement["subject"]] == [{"gitCommit": "b" * 40}, {"gitTree": "c" * 40}]


def test_a_bundle_from_before_prompts_were_told_still_holds():
    values = json.loads(STATEMENT.payload())
    del values["predicate"]["prompts"]
    payload = json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
    kind = b"application/vnd.in-toto+json"
    signed = b" ".join((b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload))
    signature = {"keyid": "s1", "sig": base64.b64encode(KEYS.sign(signed)).decode()}
    envelope = {"payloadType": kind.decode(), "payload": base64.b64encode(payload).decode(), "signatures": [signature]}
    raw = json.dumps(envelope, separators=(",", ":")).encode() + b"\n"
    told = open_envelope(raw, KEYS.public).statement.predicate
    assert told.prompts is None
    checks = list(check_stored(told, raw, replace(STORED, bundle=raw)))
    assert differing(checks) == []
    assert [check.name for check in checks if check.result is Result.SKIPPED] == ["prompts"]


def test_a_changed_byte_anywhere_in_the_envelope_is_found():
    for place in range(len(BUNDLE)):
        for change in (1, 0x20, 0x80):
            tampered = bytearray(BUNDLE)
            tampered[place] ^= change
            with pytest.raises(BadEnvelopeError):
                open_envelope(bytes(tampered), KEYS.public)


@given(st.integers(0, len(BUNDLE)), st.binary(min_size=1, max_size=5), st.integers(0, 5))
def test_bytes_put_in_or_left_out_are_found(place: int, more: bytes, less: int):
    tampered = BUNDLE[:place] + more + BUNDLE[place + less :]
    if tampered != BUNDLE:
        with pytest.raises(BadEnvelopeError):
            open_envelope(tampered, KEYS.public)


@pytest.mark.parametrize(
    "form",
    [
        lambda envelope: json.dumps(envelope).encode(),
        lambda envelope: json.dumps(envelope, indent=1).encode() + b"\n",
        lambda envelope: json.dumps({**envelope, "signatures": envelope["signatures"] * 2}).encode(),
        lambda envelope: json.dumps({**envelope, "signatures": []}, separators=(",", ":")).encode() + b"\n",
    ],
)
def test_the_same_signature_in_another_form_is_refused(form: Callable[[dict], bytes]):
    with pytest.raises(BadEnvelopeError) as caught:
        open_envelope(form(json.loads(BUNDLE)), KEYS.public)
    assert caught.value.check == "envelope"


def test_a_key_that_is_not_known_is_named():
    with pytest.raises(BadEnvelopeError, match="'s1', which is not among the 0 known") as caught:
        open_envelope(BUNDLE, {})
    assert caught.value.check == "signature"


def test_another_key_under_the_same_id_does_not_fit():
    with pytest.raises(BadEnvelopeError, match="does not fit"):
        open_envelope(BUNDLE, SigningKeys([("s1", bytes(32))]).public)


def test_a_statement_whose_subject_is_another_commit_is_refused_even_when_signed():
    other = Statement.about(
        PREDICATE.model_copy(update={"repository": PREDICATE.repository.model_copy(update={"head_sha": "9" * 40})})
    )
    forged = STATEMENT.model_copy(update={"subject": other.subject})
    with pytest.raises(BadEnvelopeError) as caught:
        open_envelope(seal(forged, KEYS).file(), KEYS.public)
    assert caught.value.check == "statement"


def test_a_commit_that_agrees_passes_every_check():
    assert differing(check_commit(PREDICATE, COMMIT)) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, ["commit"]),
        (replace(COMMIT, tree="0" * 40), ["tree"]),
        (replace(COMMIT, parents=()), ["base"]),
        (replace(COMMIT, parents=("a" * 40, "d" * 40)), ["base"]),
        (replace(COMMIT, message="Title"), ["trailer AI-CD-Job", "trailer AI-CD-Plan"]),
        (replace(COMMIT, message=COMMIT.message + "AI-CD-Job: another\n"), ["trailer AI-CD-Job"]),
        (replace(COMMIT, message=COMMIT.message + "\nMore"), ["trailer AI-CD-Job", "trailer AI-CD-Plan"]),
    ],
)
def test_a_commit_that_differs_is_told_by_what(found: CommitFacts | None, expected: list[str]):
    assert differing(check_commit(PREDICATE, found)) == expected


def test_a_job_that_went_on_since_is_no_difference():
    more = replace(STORED, entries=(*STORED.entries, LedgerLine(key="call/code/2", usage=USAGE)))
    assert differing(check_stored(PREDICATE, BUNDLE, more)) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (replace(STORED, bundle=None), "stored bundle"),
        (replace(STORED, journal=None), "journal (1 calls)"),
        (replace(STORED, journal="0" * 64), "journal (1 calls)"),
        (replace(STORED, entries=()), "ledger"),
        (replace(STORED, entries=(LedgerLine(key="call/plan/0", usage=USAGE + USAGE),)), "ledger"),
        (replace(STORED, issue_sha256="0" * 64), "issue"),
        (replace(STORED, plan_sha256=None), "plan"),
        (replace(STORED, policy=PolicyVerdict.ASK), "policy"),
        (replace(STORED, commands=()), "tests"),
    ],
)
def test_what_is_stored_otherwise_is_told_by_what(found: StoredFacts, expected: str):
    assert differing(check_stored(PREDICATE, BUNDLE, found)) == [expected]


def test_a_sum_that_is_not_that_of_the_entries_differs():
    told = PREDICATE.model_copy(update={"ledger": PREDICATE.ledger.model_copy(update={"total": Usage()})})
    assert differing(check_stored(told, BUNDLE, STORED)) == ["ledger"]


@pytest.mark.parametrize(
    "other",
    [
        CALLS[:3],
        CALLS[::-1],
        (*CALLS, CALLS[0]),
        (replace(CALLS[0], model="n"), *CALLS[1:]),
        (replace(CALLS[0], step="plan/", number=0), *CALLS[1:]),
        (replace(CALLS[0], reply_sha256=b"s" * 32), *CALLS[1:]),
        (replace(CALLS[0], request_sha256=b"s" * 32), *CALLS[1:]),
    ],
)
def test_every_part_and_the_order_of_the_calls_make_the_hash(other: tuple[CallDigest, ...]):
    assert chain(other) != chain(CALLS)


def test_the_chain_can_be_made_again_from_its_description():
    import hashlib

    link = hashlib.sha256(b"aicd journal v1").digest()
    for call in CALLS:
        parts = (call.step.encode(), str(call.number).encode(), b"m", call.request_sha256, call.reply_sha256)
        link = hashlib.sha256(link + b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
    assert chain(CALLS) == link.hex()


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path):
    settings = settings_in(tmp_path / "data")
    with ThreadPoolExecutor(8) as pool:
        found = {keys.newest for keys in pool.map(load_signing_keys, [settings] * 8)}
    assert len(found) == 1
    assert (tmp_path / "data" / "signing-keys.json").stat().st_mode & 0o777 == 0o600


def test_looking_for_keys_makes_none(tmp_path: Path):
    assert verifying_keys(settings_in(tmp_path)) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_rotated_key_still_verifies_and_signs_no_more(tmp_path: Path):
    settings = settings_in(tmp_path)
    before = load_signing_keys(settings)
    bundle = seal(STATEMENT, before).file()
    rotate(settings)
    after = rotate(settings)
    assert after.newest not in before.public
    assert len(after.public) == 3
    assert open_envelope(bundle, verifying_keys(settings)).key_id == before.newest
    stored = json.loads((tmp_path / "signing-keys.json").read_text())
    assert list(stored) == ["key_id", "seed", "retired"]
    assert set(stored["retired"]) == set(after.public) - {after.newest}
    assert (tmp_path / "signing-keys.json").stat().st_mode & 0o777 == 0o600


def test_the_operators_keys_come_first_and_the_installations_old_ones_still_verify(tmp_path: Path):
    own = load_signing_keys(settings_in(tmp_path))
    settings = settings_in(tmp_path, f"{operator_key('s2', bytes(32))},{operator_key('s1', SEED)}")
    keys = load_signing_keys(settings)
    assert keys.newest == "s2"
    assert set(keys.public) == {"s2", "s1", own.newest}
    with pytest.raises(ConflictError, match="in front of the others"):
        rotate(settings)


@pytest.mark.parametrize("text", ["", ",", "s1", "s1:AAAA", ":" + "A" * 43 + "=", "s 1:" + "A" * 43 + "="])
def test_keys_of_another_form_are_refused_and_not_shown(tmp_path: Path, text: str):
    with pytest.raises(InvalidInputError, match="AICD_SIGNING_KEYS") as caught:
        load_signing_keys(settings_in(tmp_path, text))
    assert "AAAA" not in caught.value.message


def test_a_key_named_twice_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInputError, match="twice"):
        load_signing_keys(settings_in(tmp_path, f"{operator_key('s1', SEED)},{operator_key('s1', SEED)}"))


def test_public_keys_are_read_as_they_are_printed():
    lines = "# ours\n\n" + "".join(f"{public_line(key_id, key)}\n" for key_id, key in KEYS.public.items())
    assert open_envelope(BUNDLE, load_public_keys(lines, "keys.txt")).key_id == "s1"
    with pytest.raises(InvalidInputError, match=r"keys\.txt holds no key"):
        load_public_keys("# none\n", "keys.txt")


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path):
    load_signing_keys(settings_in(tmp_path))
    (tmp_path / "signing-keys.json").chmod(0o640)
    with pytest.raises(UnavailableError, match="chmod 600"):
        load_signing_keys(settings_in(tmp_path))


def test_a_damaged_key_file_is_no_reason_to_make_another(tmp_path: Path):
    load_signing_keys(settings_in(tmp_path))
    place = tmp_path / "signing-keys.json"
    os.truncate(place, 10)
    with pytest.raises(UnavailableError, match="damaged"):
        load_signing_keys(settings_in(tmp_path))
    assert place.stat().st_size == 10


def test_an_envelope_is_stored_and_read_as_the_same_bytes():
    assert Envelope.model_validate_json(Envelope.model_validate_json(BUNDLE).model_dump_json()).file() == BUNDLE

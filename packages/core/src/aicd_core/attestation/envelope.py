"""The DSSE envelope around a statement, signed with Ed25519 (RFC 8032).

https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ConfigDict, Field, ValidationError

from aicd_core.attestation.keys import SigningKeys
from aicd_core.attestation.statement import Statement
from aicd_core.contracts.values import Value
from aicd_core.errors import ConflictError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ENVELOPE_MAX = 32 * 1024 * 1024
"""Bytes; no bundle of ours comes near, and nothing larger is read."""


class Signature(Value):
    """A signature, as standard base64, and the id of its key."""

    keyid: str
    sig: str


class Envelope(Value):
    """A DSSE envelope; `payload` is standard base64 of the statement's bytes."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    payload_type: str = Field(alias="payloadType")
    payload: str
    signatures: tuple[Signature, ...]

    def file(self) -> bytes:
        """The envelope as it stands in a file: the only bytes that `open_envelope` takes for it."""
        return self.model_dump_json().encode() + b"\n"


@dataclass(frozen=True)
class Opened:
    """What an envelope held, after its signature was found good."""

    statement: Statement
    key_id: str


class BadEnvelopeError(ConflictError):
    """The envelope is not what was signed; `check` names what does not hold."""

    default_code = "evidence_differs"

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check


def seal(statement: Statement, keys: SigningKeys) -> Envelope:
    """Signs a statement with the newest key."""
    payload = statement.payload()
    signature = keys.sign(_signed_bytes(PAYLOAD_TYPE, payload))
    signed = Signature(keyid=keys.newest, sig=base64.b64encode(signature).decode())
    return Envelope(payload_type=PAYLOAD_TYPE, payload=base64.b64encode(payload).decode(), signatures=(signed,))


def open_envelope(raw: bytes, keys: Mapping[str, Ed25519PublicKey]) -> Opened:
    """The statement of an envelope, byte for byte as `seal` made it.

    The envelope's own form is not under the signature, so it is compared with the one way in which it is written: a
    byte that was changed anywhere is found.

    Raises:
        BadEnvelopeError: check `envelope`, `signature` or `statement`.
    """
    envelope = _parse(raw)
    payload = _decoded(envelope.payload)
    signature = envelope.signatures[0]
    key = keys.get(signature.keyid)
    if key is None:
        raise BadEnvelopeError(
            "signature",
            f"It is signed with the key {signature.keyid[:100]!r}, which is not among the {len(keys)} known ones. Give "
            "that key's public half with --key, or do not trust the bundle.",
        )
    try:
        key.verify(_decoded(signature.sig), _signed_bytes(envelope.payload_type, payload))
    except InvalidSignature as error:
        raise BadEnvelopeError(
            "signature", f"The signature of the key {signature.keyid!r} does not fit: what was signed was changed."
        ) from error
    return Opened(_statement(payload), signature.keyid)


def _parse(raw: bytes) -> Envelope:
    try:
        envelope = Envelope.model_validate_json(raw)
    except ValidationError as error:
        raise BadEnvelopeError("envelope", "It is not a DSSE envelope of AI-CD; it was changed or cut off.") from error
    if envelope.file() != raw:
        raise BadEnvelopeError("envelope", "The envelope is not written the way AI-CD writes it: it was changed.")
    if envelope.payload_type != PAYLOAD_TYPE or len(envelope.signatures) != 1:
        raise BadEnvelopeError("envelope", "It holds something else than one signed in-toto statement.")
    return envelope


def _decoded(text: str) -> bytes:
    """Standard base64 in its one canonical form."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadEnvelopeError("envelope", "Part of the envelope is no base64: it was changed.") from error
    if base64.b64encode(decoded).decode() != text:
        raise BadEnvelopeError("envelope", "Part of the envelope is not in the one form of base64: it was changed.")
    return decoded


def _statement(payload: bytes) -> Statement:
    try:
        statement = Statement.model_validate_json(payload)
    except ValidationError as error:
        raise BadEnvelopeError(
            "statement",
            f"The signed statement is not evidence of this version of AI-CD ({error.error_count()} faults).",
        ) from error
    if not statement.agrees_with_itself():
        raise BadEnvelopeError("statement", "The statement's subjects are not the commit and tree that it tells of.")
    return statement


def _signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding (PAE)."""
    kind = payload_type.encode()
    return b" ".join((b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload))

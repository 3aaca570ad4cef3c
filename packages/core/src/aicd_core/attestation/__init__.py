"""Signed evidence of what a job did: the statement, its envelope, the keys, and the checks of a verifier."""

from aicd_core.attestation.checks import Check, CommitFacts, Result, StoredFacts, check_commit, check_stored
from aicd_core.attestation.envelope import Envelope, Opened, open_envelope, seal
from aicd_core.attestation.keys import SigningKeys, load_public_keys, load_signing_keys, rotate, verifying_keys
from aicd_core.attestation.statement import Predicate, Statement

__all__ = [
    "Check",
    "CommitFacts",
    "Envelope",
    "Opened",
    "Predicate",
    "Result",
    "SigningKeys",
    "Statement",
    "StoredFacts",
    "check_commit",
    "check_stored",
    "load_public_keys",
    "load_signing_keys",
    "open_envelope",
    "rotate",
    "seal",
    "verifying_keys",
]

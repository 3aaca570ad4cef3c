"""One hash for all calls of a job, in order: whatever of them is changed, left out or moved, it is another one."""

import hashlib
from collections.abc import Iterable

from aicd_core.journal.values import CallDigest

BEGIN = b"aicd journal v1"


def chain(calls: Iterable[CallDigest]) -> str:
    """The hash (hex) of a chain: each link is the SHA-256 of the one before it and of the call.

    Of a call count its step, number, model, and the SHA-256 of request and reply; texts go in with their lengths.
    """
    link = hashlib.sha256(BEGIN).digest()
    for call in calls:
        step, model = call.step.encode(), call.model.encode()
        parts = (step, str(call.number).encode(), model, call.request_sha256, call.reply_sha256)
        link = hashlib.sha256(link + b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
    return link.hex()

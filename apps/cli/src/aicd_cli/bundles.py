"""Finding the evidence bundle that a person names, and the public keys to open it with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from aicd_core.attestation import load_public_keys, verifying_keys
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId
from aicd_core.settings import Settings

EVIDENCE_SUFFIX = ".evidence.json"
KEYS_MAX = 1024 * 1024


@dataclass(frozen=True)
class Named:
    """What a person named: a job, or else a file."""

    job_id: JobId | None = None
    path: Path | None = None


def named(text: str) -> Named:
    """A job's id, the path of a bundle, or the path or file URL of a recorded pull request, beside which its bundle is.

    Raises:
        InvalidInputError: it is a URL of something that is not on this machine.
    """
    try:
        return Named(job_id=JobId(UUID(text.removeprefix("aicd/"))))
    except ValueError:
        pass
    parts = urlsplit(text)
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
    elif "://" in text:
        raise InvalidInputError(
            f"{text} is not on this machine. Download the evidence bundle that is attached there and name its file, or "
            "name the job.",
            code="not_on_this_machine",
        )
    else:
        path = Path(text)
    return Named(path=path.with_suffix(EVIDENCE_SUFFIX) if path.suffix == ".md" else path)


def read_file(path: Path, most: int) -> bytes:
    """A file's bytes.

    Raises:
        InvalidInputError: it cannot be read, or is longer than `most` bytes.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "no such name"
        raise InvalidInputError(
            f"{path} cannot be read: {said}. Name an evidence bundle, a recorded pull request, or a job's id.",
            code="bundle_unreadable",
        ) from error
    if len(raw) > most:
        raise InvalidInputError(f"{path} has more than {most:,} bytes; it is not what it should be.", code="too_large")
    return raw


def keys_for(settings: Settings, key_file: Path | None) -> Mapping[str, Ed25519PublicKey]:
    """The public keys of `--key`, or those that are known here.

    Raises:
        InvalidInputError: the file or AICD_SIGNING_KEYS cannot be used.
        UnavailableError: the keys under the data directory cannot be read.
    """
    if key_file is None:
        return verifying_keys(settings)
    return load_public_keys(read_file(key_file, KEYS_MAX).decode("utf-8", "replace"), str(key_file))

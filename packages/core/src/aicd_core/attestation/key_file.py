"""The file of the signing key that an installation makes for itself: its owner's alone, replaced whole."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, ValidationError

from aicd_core.contracts.values import Value
from aicd_core.errors import UnavailableError

PRIVATE = 0o600
ID_DIGITS = 16


class StoredKeys(Value):
    """The key that signs, and the public halves of those that did before it."""

    key_id: str
    seed: bytes
    retired: dict[str, bytes] = Field(default_factory=dict)


class KeyFile:
    """The signing keys of one data directory.

    Args:
        path: made with mode 0600 when a key is first needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> StoredKeys | None:
        """What the file holds; None when there is none.

        Raises:
            UnavailableError: it cannot be read, is damaged, or others than its owner may read it.
        """
        try:
            with self._path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                raw = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._fault(f"cannot be read ({error.strerror}). Mend its permissions") from error
        if mode & 0o077:
            raise self._fault("can be read by others than its owner. Say `chmod 600`, and `aicd keys rotate`")
        try:
            return StoredKeys.model_validate_json(raw)
        except ValidationError as error:
            raise self._fault(
                "is damaged. Restore it from a backup, or move it away to begin with a new key"
            ) from error

    def read_or_make(self) -> StoredKeys:
        """What the file holds; a first key when there is none, the same one for whoever asks at the same time.

        Raises:
            UnavailableError: as `read`, or the disk refuses.
        """
        stored = self.read()
        if stored is not None:
            return stored
        with self._locked():
            return self.read() or self._write(_fresh())

    def rotate(self) -> StoredKeys:
        """Puts a new key in place; of the old one only the public half is kept.

        Raises:
            UnavailableError: as `read_or_make`.
        """
        with self._locked():
            before = self.read()
            if before is None:
                return self._write(_fresh())
            public = Ed25519PrivateKey.from_private_bytes(before.seed).public_key().public_bytes_raw()
            return self._write(_fresh({**before.retired, before.key_id: public}))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(
                self._path.with_name(f".{self._path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE
            )
        except OSError as error:
            raise self._fault(f"cannot be made ({error.strerror}). Mend the folder's permissions") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, keys: StoredKeys) -> StoredKeys:
        half = self._path.with_name(f".{self._path.name}.new")
        try:
            half.unlink(missing_ok=True)
            with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
                file.write(keys.model_dump_json(indent=2).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            half.replace(self._path)
        except OSError as error:
            raise self._fault(
                f"cannot be written ({error.strerror}). Free some space or mend its permissions"
            ) from error
        return keys

    def _fault(self, what: str) -> UnavailableError:
        return UnavailableError(f"The file of signing keys {self._path} {what}.", code="signing_keys_unusable")


def _fresh(retired: dict[str, bytes] | None = None) -> StoredKeys:
    """A new key, known by the beginning of the SHA-256 of its public half."""
    key = Ed25519PrivateKey.generate()
    digest = hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()
    return StoredKeys(key_id=f"aicd-{digest[:ID_DIGITS]}", seed=key.private_bytes_raw(), retired=retired or {})

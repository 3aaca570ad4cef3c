"""From the bytes of a delivery to its JSON, and the little that its storing needs of that. Pure."""

from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from pydantic_core import from_json

from aicd_core.errors import InvalidInputError

Json: TypeAlias = Mapping[str, Any]

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
LARGEST_NUMBER = 2**63 - 1
"""Of GitHub's ids, which are 64 bits wide."""
SUBJECT_MOST = 300
"""Characters: a row of the index on subjects has to fit into a third of a page."""


def unwrap(content_type: str, body: bytes) -> bytes:
    """The JSON of a delivery: its whole body, or the field `payload` of a form.

    Raises:
        InvalidInputError: code `unsupported_content_type`; or there is not exactly one such field.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON_TYPE:
        return body
    if kind != FORM_TYPE:
        raise InvalidInputError(
            f"Deliveries are taken as {JSON_TYPE} or {FORM_TYPE}, not as {kind[:80] or 'nothing'!r}. Choose one of the "
            "two in the webhook's settings.",
            code="unsupported_content_type",
        )
    try:
        fields = parse_qs(body.decode("ascii"), errors="strict", max_num_fields=10).get("payload", [])
        (payload,) = fields
    except ValueError as error:
        raise InvalidInputError("The form holds no field `payload`, or several.", code="bad_form") from error
    return payload.encode()


def parse(payload: bytes) -> Json:
    """The JSON object.

    Raises:
        InvalidInputError: it is none, is not UTF-8, or is nested too deep.
    """
    try:
        found = from_json(payload, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInputError(f"The body is not JSON: {error}.", code="bad_json") from error
    if not isinstance(found, dict):
        raise InvalidInputError("The body is JSON, and not an object.", code="bad_json")
    return found


def installation_of(payload: Json) -> int | None:
    """The number of the installation that the delivery came through; None where it names none."""
    return _number(payload, "installation", "id")


def subject_of(event: str, payload: Json) -> str | None:
    """What the delivery is about, the same for all that must be handled in order.

    An issue or pull request of a repository, else a branch of it, else an installation. Repositories go by number,
    which a new name does not change.
    """
    repository = _number(payload, "repository", "id")
    if repository is None:
        installation = installation_of(payload)
        return None if installation is None or not event.startswith("installation") else f"installation/{installation}"
    number = next(filter(None, (_number(payload, *path) for path in _NUMBERS)), None)
    if number is not None:
        return f"{repository}#{number}"
    branch = next(filter(None, (_text(payload, *path) for path in _BRANCHES)), None)
    if branch is not None:
        return f"{repository}@{branch.removeprefix('refs/heads/')}"[:SUBJECT_MOST].replace("\x00", "\ufffd")
    return None


_NUMBERS: tuple[tuple[str | int, ...], ...] = (
    ("issue", "number"),
    ("pull_request", "number"),
    ("check_suite", "pull_requests", 0, "number"),
    ("check_run", "pull_requests", 0, "number"),
)
_BRANCHES: tuple[tuple[str | int, ...], ...] = (
    ("ref",),
    ("check_suite", "head_branch"),
    ("check_run", "check_suite", "head_branch"),
    ("branches", 0, "name"),
)


def _dig(payload: Any, *path: str | int) -> Any:
    for step in path:
        if isinstance(step, str):
            payload = payload.get(step) if isinstance(payload, dict) else None
        else:
            payload = payload[step] if isinstance(payload, list) and len(payload) > step else None
    return payload


def _number(payload: Json, *path: str | int) -> int | None:
    found = _dig(payload, *path)
    whole = isinstance(found, int) and not isinstance(found, bool) and 0 < found <= LARGEST_NUMBER
    return found if whole else None


def _text(payload: Json, *path: str | int) -> str | None:
    found = _dig(payload, *path)
    return found if isinstance(found, str) and found else None

"""Every error as problem+json (RFC 9457, https://www.rfc-editor.org/rfc/rfc9457)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from aicd_core.errors import AicdError, ErrorKind

MEDIA_TYPE = "application/problem+json"
MAX_FIELD_ERRORS = 50

STATUS_OF_KIND: Mapping[ErrorKind, int] = {
    ErrorKind.INVALID_INPUT: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.STOPPED: 402,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.FAILED: 422,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.INTERNAL: 500,
}
"""The one place where a domain error becomes an HTTP status."""

STATUS_OF_CODE: Mapping[str, int] = {
    "stale_revision": 412,
    "idempotency_key_reused": 422,
    # Tokens in a body (of an invitation) are input; of credentials the guard tells nothing.
    "malformed_token": 400,
    "wrong_token_kind": 400,
}
"""Where HTTP has a better word for one case than for its kind."""

HEADERS_OF_CODE: Mapping[str, Mapping[str, str]] = {
    "idempotency_in_progress": {"Retry-After": "1"},
    "database_unavailable": {"Retry-After": "1"},
    "past_not_ready": {"Retry-After": "60"},
}


class RefusedError(Exception):
    """What the edge itself refuses, in words of HTTP."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        *,
        job_id: UUID | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.job_id = job_id


class NothingLeftError(Exception):
    """There is nothing more to tell, now or later: 204, by which a browser knows not to open the stream again.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#server-sent-events-intro
    """


class _Status(NamedTuple):
    code: str
    title: str
    detail: str


# Spelled out, because http.HTTPStatus renames members between versions of Python.
_STATUSES: Mapping[int, _Status] = {
    400: _Status("bad_request", "Bad Request", "The request cannot be read."),
    401: _Status("unauthenticated", "Unauthorized", "Say who you are."),
    402: _Status("stopped", "Payment Required", "No work is done for this organization until it has paid."),
    403: _Status("forbidden", "Forbidden", "You may not do this."),
    404: _Status("not_found", "Not Found", "There is nothing at this address."),
    405: _Status("method_not_allowed", "Method Not Allowed", "This address does not take that method."),
    409: _Status("conflict", "Conflict", "The thing was changed by somebody else: read it again."),
    412: _Status("stale_revision", "Precondition Failed", "The thing was changed by somebody else: read it again."),
    413: _Status("body_too_large", "Content Too Large", "The request body is larger than this server takes."),
    422: _Status("validation_failed", "Unprocessable Content", "The request does not have the form required."),
    428: _Status("precondition_required", "Precondition Required", "Send If-Match."),
    429: _Status("rate_limited", "Too Many Requests", "Too many requests: wait a little."),
    500: _Status("internal", "Internal Server Error", "Something went wrong here; it has been logged."),
    503: _Status("unavailable", "Service Unavailable", "The server cannot answer now: try again later."),
}


class FieldError(BaseModel):
    """One value that does not have the form required."""

    model_config = ConfigDict(frozen=True)

    source: Literal["body", "query", "path", "header", "cookie"] = Field(description="Part of the request.")
    pointer: str = Field(
        description="JSON Pointer (RFC 6901, as a URI fragment's text) to the value within that part.",
        examples=["#/steps/0/id"],
    )
    detail: str = Field(description="What is wrong with the value.")


class Problem(BaseModel):
    """An error, for people (`title`, `detail`) and for programs (`status`, `code`)."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="`urn:aicd:problem:` and the code.", examples=["urn:aicd:problem:not_found"])
    title: str = Field(description="The HTTP status in words.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    code: str = Field(description="Stable name of this kind of error: what a program may match on.")
    detail: str = Field(description="What happened, to what, and what to do next.")
    request_id: str = Field(description="The answer's X-Request-Id: name it when you ask for help.")
    errors: tuple[FieldError, ...] | None = Field(
        default=None, description=f"Which values are wrong, at most {MAX_FIELD_ERRORS}; only with status 422."
    )
    job_id: UUID | None = Field(default=None, description="The job that is open; only with the code `job_open`.")


def problem_of(error: Exception, request_id: str) -> Problem:
    """The problem that tells of an error. Of an unexpected one it tells nothing but the request id."""
    match error:
        case AicdError() if error.kind is not ErrorKind.INTERNAL:
            status = STATUS_OF_CODE.get(error.code, STATUS_OF_KIND[error.kind])
            return make_problem(status, request_id, code=error.code, detail=error.message)
        case RefusedError():
            problem = make_problem(error.status, request_id, code=error.code, detail=error.detail)
            return problem.model_copy(update={"job_id": error.job_id})
        case RequestValidationError():
            return make_problem(422, request_id, errors=field_errors(error.errors()))
        case HTTPException():
            return _problem_of_http(error, request_id)
        case _:
            return make_problem(500, request_id)


def make_problem(
    status: int,
    request_id: str,
    *,
    code: str | None = None,
    detail: str | None = None,
    errors: tuple[FieldError, ...] | None = None,
) -> Problem:
    """A problem with the words that belong to its status, where no better ones are given."""
    known = _STATUSES.get(status) or _Status(f"http_{status}", f"HTTP {status}", "The request was refused.")
    return Problem(
        type=f"urn:aicd:problem:{code or known.code}",
        title=known.title,
        status=status,
        code=code or known.code,
        detail=detail or known.detail,
        request_id=request_id,
        errors=errors,
    )


def headers_of(error: Exception) -> Mapping[str, str] | None:
    """Headers that belong on the answer to an error."""
    match error:
        case AicdError():
            return HEADERS_OF_CODE.get(error.code)
        case RefusedError() | HTTPException():
            return error.headers
        case _:
            return None


def problem_answers(statuses: Iterable[int]) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of answers that are problems."""
    return {status: _described(status) for status in sorted(set(statuses))}


def described_default() -> dict[str, Any]:
    """What it says of answers that are listed nowhere, of which the commonest is the example."""
    return {**_described(422), "description": "Any other error"}


def _described(status: int) -> dict[str, Any]:
    example = make_problem(status, "01a215e4-ed13-7476-aa2f-171a72052226")
    if status == 422:
        wrong = FieldError(source="query", pointer="#/limit", detail="Input should be less than or equal to 100")
        example = example.model_copy(update={"errors": (wrong,)})
    schema = {"$ref": "#/components/schemas/Problem"}
    shown = {"schema": schema, "example": example.model_dump(mode="json", exclude_none=True)}
    return {"description": _STATUSES[status].title, "content": {MEDIA_TYPE: shown}}


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that carries a problem."""
    # Plain ASCII JSON: a lone surrogate in a caller's key could not be encoded otherwise.
    body = json.dumps(problem.model_dump(mode="python", exclude_none=True), default=str)
    return Response(body, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


def field_errors(errors: Sequence[Mapping[str, Any]]) -> tuple[FieldError, ...]:
    """Pydantic's errors by JSON pointer, without the values that were sent; each once, however often it was read."""
    return tuple(dict.fromkeys(_field_error(error) for error in errors[:MAX_FIELD_ERRORS]))


def _field_error(error: Mapping[str, Any]) -> FieldError:
    source, *path = error["loc"]
    if error["type"] == "json_invalid":
        detail = f"This is not JSON, from character {path[0]} on: {error['ctx']['error']}"
        return FieldError(source=source, pointer="#", detail=detail)
    detail = error["msg"] if path or source != "body" else _body_fault(error)
    return FieldError(source=source, pointer=json_pointer(path), detail=detail)


def _body_fault(error: Mapping[str, Any]) -> str:
    """What is wrong with a body as a whole: Pydantic's words say nothing of HTTP."""
    match error:
        case {"type": "missing"}:
            return "There is no body. Send a JSON object."
        case {"type": "model_attributes_type", "input": bytes()}:
            return "The body is not said to be JSON. Send it with `Content-Type: application/json`."
        case {"type": "model_attributes_type"}:
            return "A JSON object is required."
        case _:
            return str(error["msg"])


def json_pointer(path: Sequence[str | int]) -> str:
    """A JSON Pointer with the leading `#` that RFC 9457 uses: `("a/b", 0)` is `#/a~1b/0`."""
    return "#" + "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _problem_of_http(error: HTTPException, request_id: str) -> Problem:
    status = error.status_code
    if status == 405 and error.headers and "Allow" in error.headers:
        allowed = error.headers["Allow"]
        return make_problem(status, request_id, detail=f"This address does not take that method, only {allowed}.")
    return make_problem(status, request_id)

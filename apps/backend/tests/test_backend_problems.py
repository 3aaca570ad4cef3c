"""Every error of the API server is problem+json, tells the caller what it may know, and carries the request id."""

import json
import logging
from collections.abc import Mapping
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, Header, Query
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from aicd_backend.app import Api
from aicd_backend.problems import MAX_FIELD_ERRORS, MEDIA_TYPE, STATUS_OF_KIND, Problem, json_pointer
from aicd_backend.testing.world import offline_app
from aicd_core.errors import AicdError, ConflictError, ErrorKind, InvalidInputError, NotFoundError

JSON = {"Content-Type": "application/json"}
INSIDE = "host=10.0.0.7 user=owner"


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    goal: str


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    steps: list[Step]


def make_app() -> Api:
    app = offline_app()

    @app.post("/orders")
    async def order(order: Order, limit: Annotated[int, Query(le=10)] = 1) -> int:
        return len(order.steps) + limit

    return app


def failing_app(error: Exception) -> Api:
    app = make_app()

    @app.get("/fail")
    async def fail() -> None:
        raise error

    return app


async def ask(app: Api, method: str, path: str, **request: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        return await client.request(method, path, **request)


def problem_in(answer: httpx.Response) -> dict[str, Any]:
    """The problem, after checking all that holds for every one of them."""
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem: dict[str, Any] = answer.json()
    Problem.model_validate(problem)
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["type"] == f"urn:aicd:problem:{problem['code']}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    return problem


def test_every_kind_of_domain_error_has_its_status() -> None:
    assert STATUS_OF_KIND.keys() == set(ErrorKind)


@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if kind is not ErrorKind.INTERNAL])
async def test_a_domain_error_is_answered_with_its_status_code_and_sentence(kind: ErrorKind) -> None:
    error = AicdError("The thing is so. Do this.", code="thing_is_so")
    error.kind = kind
    answer = await ask(failing_app(error), "GET", "/fail")
    problem = problem_in(answer)
    assert answer.status_code == STATUS_OF_KIND[kind]
    assert (problem["code"], problem["detail"]) == ("thing_is_so", "The thing is so. Do this.")


@pytest.mark.parametrize(
    ("error", "status"),
    [(InvalidInputError("x"), 400), (NotFoundError("x"), 404), (ConflictError("x"), 409)],
)
async def test_domain_errors_of_every_class_are_told_apart(error: AicdError, status: int) -> None:
    answer = await ask(failing_app(error), "GET", "/fail")
    assert answer.status_code == status
    assert problem_in(answer)["code"] == error.default_code


@pytest.mark.parametrize("error", [RuntimeError(INSIDE), AicdError(INSIDE, code="inside"), HTTPException(500, INSIDE)])
async def test_an_unexpected_error_tells_the_caller_nothing_and_the_log_everything(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await ask(failing_app(error), "GET", "/fail", headers={"X-Request-Id": "find-me"})
    assert answer.status_code == 500
    assert problem_in(answer)["code"] == "internal"
    assert "10.0.0.7" not in answer.text
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert "find-me" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_a_forged_line_break_in_the_path_stays_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()

    @app.get("/fail/{name}")
    async def fail(name: str) -> None:
        raise RuntimeError

    await ask(app, "GET", "/fail/a%0aERROR%20forged")
    assert not any("\n" in record.getMessage() for record in caplog.records)


async def test_an_unknown_address_is_a_404() -> None:
    answer = await ask(make_app(), "GET", "/nowhere")
    assert (answer.status_code, problem_in(answer)["code"]) == (404, "not_found")


async def test_a_trailing_slash_is_another_address_and_never_redirected() -> None:
    answer = await ask(make_app(), "GET", "/healthz/")
    assert answer.status_code == 404


async def test_a_wrong_method_is_a_405_that_says_which_are_right() -> None:
    answer = await ask(make_app(), "DELETE", "/orders")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert problem_in(answer)["detail"] == "This address does not take that method, only POST."


async def test_wrong_values_are_named_by_json_pointers_and_not_repeated() -> None:
    body = {"steps": [{"goal": "fine"}, {"goal": 31337}, {"a/b~c": "s3cr3t"}]}
    answer = await ask(make_app(), "POST", "/orders?limit=11", json=body)
    problem = problem_in(answer)
    assert answer.status_code == 422
    assert {(e["source"], e["pointer"]) for e in problem["errors"]} == {
        ("body", "#/steps/1/goal"),
        ("body", "#/steps/2/goal"),
        ("body", "#/steps/2/a~1b~0c"),
        ("query", "#/limit"),
    }
    assert all(error["detail"] for error in problem["errors"])
    assert "31337" not in answer.text
    assert "s3cr3t" not in answer.text


async def test_a_wrong_value_that_several_readers_found_is_told_once() -> None:
    app = make_app()

    def read(since: Annotated[int, Header()]) -> int:
        return since

    @app.get("/read")
    async def read_twice(_first: Annotated[int, Depends(read)], since: Annotated[int, Header()]) -> int:
        return since

    (error,) = problem_in(await ask(app, "GET", "/read", headers={"since": "x"}))["errors"]
    assert (error["source"], error["pointer"]) == ("header", "#/since")


async def test_text_that_is_not_json_is_told_with_its_place() -> None:
    answer = await ask(make_app(), "POST", "/orders", content=b'{"steps": oops}', headers=JSON)
    (error,) = problem_in(answer)["errors"]
    assert (answer.status_code, error["source"], error["pointer"]) == (422, "body", "#")
    assert "character 10" in error["detail"]


@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        ({}, "There is no body. Send a JSON object."),
        ({"data": {"steps": "1"}}, "The body is not said to be JSON. Send it with `Content-Type: application/json`."),
        ({"json": [1]}, "A JSON object is required."),
    ],
)
async def test_a_body_that_is_none_says_what_to_send(request_: dict[str, Any], detail: str) -> None:
    answer = await ask(make_app(), "POST", "/orders", **request_)
    assert problem_in(answer)["errors"] == [{"source": "body", "pointer": "#", "detail": detail}]


@pytest.mark.parametrize("body", [b'{"steps": "\xff"}', b"[" * 200_000], ids=["not utf-8", "nested too deep"])
async def test_a_body_that_cannot_be_parsed_at_all_is_the_callers_fault(body: bytes) -> None:
    answer = await ask(make_app(), "POST", "/orders", content=body, headers=JSON)
    assert answer.status_code in {400, 422}
    problem_in(answer)


async def test_a_key_that_no_encoding_can_carry_is_answered_all_the_same() -> None:
    answer = await ask(make_app(), "POST", "/orders", content=json.dumps({"steps": [], "\ud800": 1}), headers=JSON)
    assert answer.status_code == 422
    problem_in(answer)


async def test_a_flood_of_wrong_values_is_cut_short() -> None:
    answer = await ask(make_app(), "POST", "/orders", json={"steps": [0] * 10_000})
    assert len(problem_in(answer)["errors"]) == MAX_FIELD_ERRORS


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "7"}])
async def test_a_status_without_words_of_its_own_is_still_a_problem(headers: Mapping[str, str]) -> None:
    answer = await ask(failing_app(HTTPException(418, headers=headers)), "GET", "/fail")
    assert problem_in(answer)["code"] == "http_418"
    assert answer.headers.get("retry-after") == headers.get("Retry-After")


def test_a_pointer_escapes_what_would_split_it() -> None:
    assert json_pointer(["a/b", 0, "~1"]) == "#/a~1b/0/~01"
    assert json_pointer([]) == "#"


def test_the_openapi_document_says_that_every_error_is_a_problem() -> None:
    document = make_app().openapi()
    assert document["openapi"].startswith("3.1")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert {"healthz", "readyz", "order", "get_me"} <= {o["operationId"] for o in operations}
    for operation in operations:
        content = operation["responses"]["default"]["content"]
        assert content[MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}
    schemas = document["components"]["schemas"]
    assert {"type", "title", "status", "code", "detail", "request_id"} == set(schemas["Problem"]["required"])
    assert "FieldError" in schemas
    assert not {"HTTPValidationError", "ValidationError"} & schemas.keys()


async def test_the_openapi_document_is_served_and_no_page_around_it() -> None:
    app = offline_app()
    served = (await ask(app, "GET", "/openapi.json")).json()
    assert served == app.openapi()
    assert {"/healthz", "/readyz", "/v1/me"} <= served["paths"].keys()
    portal = await ask(app, "GET", "/docs")
    assert (portal.status_code, portal.headers["Location"]) == (308, "/docs/")
    assert (await ask(app, "GET", "/redoc")).status_code == 404

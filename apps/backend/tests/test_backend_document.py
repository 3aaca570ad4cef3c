"""The OpenAPI document: one for every server, with an example of each error and each body."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from aicd_backend.app import describe
from aicd_backend.bodies import Answer
from aicd_backend.examples import add_examples
from aicd_backend.problems import MEDIA_TYPE, Problem
from aicd_backend.testing.world import offline_app
from aicd_core.tenancy.permissions import Permission

ROOT = Path(__file__).parents[3]
METHODS = {"get", "put", "post", "delete", "patch"}


def operations() -> Iterator[dict[str, Any]]:
    for methods in describe()["paths"].values():
        yield from (operation for method, operation in methods.items() if method in METHODS)


def test_each_error_has_an_example_of_its_status() -> None:
    for operation in operations():
        for status, answer in operation["responses"].items():
            if (told := answer.get("content", {}).get(MEDIA_TYPE)) is None:
                assert status[0] in "23" or operation["operationId"] == "issue_access_token", (
                    operation["operationId"],
                    status,
                )
                continue
            example = Problem.model_validate_json(json.dumps(told["example"]))
            assert status in {str(example.status), "default"}, (operation["operationId"], status)


def test_each_body_has_an_example() -> None:
    schemas = describe()["components"]["schemas"]
    for operation in operations():
        for told in operation.get("requestBody", {}).get("content", {}).values():
            known = schemas.get(told["schema"].get("$ref", "").rpartition("/")[2], {})
            assert "example" in told or known.get("examples"), operation["operationId"]


def test_each_answer_has_an_example_of_its_schema() -> None:
    document = describe()
    shown = 0
    for operation in operations():
        for status, answer in operation["responses"].items():
            for told in answer.get("content", {}).values() if status[0] == "2" else ():
                shown += 1
                schema = told.get("schema", {"type": "string"})
                whole = {**schema, "components": document["components"]}
                faults = list(Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(told["example"]))
                assert not faults, (operation["operationId"], faults)
    assert shown > 40


def test_an_answer_without_an_example_is_found() -> None:
    class Unknown(Answer):
        """Nobody has described this."""

    answers = {"200": {"content": {"application/json": {"schema": {}}}}}
    document = {"paths": {"/x": {"get": {"operationId": "x", "responses": answers}}}}
    with pytest.raises(TypeError, match=r"x: give .*Unknown"):
        add_examples(document, {"x": Unknown})


def test_access_tokens_are_a_way_in_whose_scopes_are_all_permissions() -> None:
    document = describe()
    flow = document["components"]["securitySchemes"]["client"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] in document["paths"]
    assert list(flow["scopes"]) == [permission.value for permission in Permission]


def test_the_document_is_that_of_the_server_and_of_no_setting() -> None:
    printed = subprocess.run(
        [str(Path(sys.executable).parent / "aicd"), "openapi"],
        env={**os.environ, "AICD_RATE_LIMIT_ADDRESS": "7", "AICD_PUBLIC_URL": "https://x.test"},
        check=True,
        capture_output=True,
    ).stdout
    assert json.loads(printed) == describe() == offline_app().openapi()
    assert json.loads((ROOT / "docs" / "openapi.json").read_text()) == describe()

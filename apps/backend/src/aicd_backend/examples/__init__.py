"""An example of every answer in the OpenAPI document, made by the models that answer: they cannot say anything else."""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter

from aicd_backend.examples.billing import BILLING_ANSWERS
from aicd_backend.examples.jobs import JOB_ANSWERS, TEXTS
from aicd_backend.examples.organizations import ORGANIZATION_ANSWERS
from aicd_backend.paging import PageOf

ANSWERS: Mapping[type, Any] = {
    type(answer): answer for answer in (*JOB_ANSWERS, *ORGANIZATION_ANSWERS, *BILLING_ANSWERS)
}


def add_examples(document: dict[str, Any], models: Mapping[str, Any]) -> None:
    """Puts an example beside each successful answer that has a body.

    Args:
        document: the OpenAPI document, which is changed.
        models: by operation, what it answers.

    Raises:
        TypeError: an answer has no example.
    """
    for methods in document["paths"].values():
        for operation in methods.values():
            name = operation["operationId"]
            if name not in models:  # none of ours
                continue
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    for told in answer.get("content", {}).values():
                        told["example"] = TEXTS[name] if name in TEXTS else _example(name, models[name])


def _example(name: str, model: Any) -> Any:
    try:
        return TypeAdapter(model).dump_python(_made(model), mode="json", by_alias=True)
    except KeyError as error:
        raise TypeError(f"{name}: give {error} an example in aicd_backend.examples.") from error


def _made(model: Any) -> Any:
    """An answer of this kind: of a list, one with one item."""
    if get_origin(model) is tuple:
        return (_made(get_args(model)[0]),)
    if isinstance(model, type) and issubclass(model, PageOf):
        return model(items=(_made(model.__pydantic_generic_metadata__["args"][0]),), next_cursor=None)
    return ANSWERS[model]

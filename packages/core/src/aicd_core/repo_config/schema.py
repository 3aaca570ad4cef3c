"""The JSON schema of `.aicd.yml`, for editors and for people who generate the file."""

from typing import Any

from aicd_core.contracts.config import RepositoryConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NULL = {"type": "null"}


def json_schema() -> dict[str, Any]:
    """The schema as JSON values; published as `docs/aicd.schema.json`.

    It tells types, keys and limits. That a repository loosens its organisation's policy, and what only YAML
    has (a key twice, an alias), is for `parse_repository_config` and `effective_rules` to find.
    """
    schema: dict[str, Any] = _without_null(RepositoryConfig.model_json_schema())
    return {"$schema": DIALECT, **schema, "title": ".aicd.yml"}


def _without_null(node: Any) -> Any:
    """The schema without null: a key that may be left out may not be written without a value, or with null."""
    if isinstance(node, list):
        return [_without_null(value) for value in node if value != _NULL]
    if not isinstance(node, dict):
        return node
    kept = {key: _without_null(value) for key, value in node.items() if value is not None}
    only = kept.get("anyOf", [])
    return {**kept.pop("anyOf")[0], **kept} if len(only) == 1 else kept

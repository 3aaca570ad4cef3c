"""Patches as Kubernetes' API server puts them: JSON (RFC 6902), JSON merge (RFC 7386) and its own strategic merge.

The last one: https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/. The order of
a list's entries is the old one's here, whatever the patch says of it.
"""

from copy import deepcopy
from typing import Any

MERGED_BY = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "port"),
    "topologySpreadConstraints": ("topologyKey",),
}
"""Lists whose entries are known by a field, if these have it; all others are put whole."""


def merged(old: Any, patch: Any, *, strategic: bool, name: str = "") -> Any:
    if isinstance(patch, dict):
        return _merged_object(old if isinstance(old, dict) else {}, patch, strategic=strategic)
    if strategic and isinstance(patch, list):
        for known_by in MERGED_BY.get(name, ()):
            if patch and all(known_by in each for each in patch):
                return _merged_list(old or [], patch, known_by)
    return patch


def _merged_object(old: dict[str, Any], patch: dict[str, Any], *, strategic: bool) -> dict[str, Any]:
    kept = {} if patch.get("$patch") == "replace" else dict(old)
    if "$retainKeys" in patch:
        kept = {key: value for key, value in kept.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if strategic and key.startswith("$"):
            continue
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value, strategic=strategic, name=key)
    return kept


def _merged_list(old: list[Any], patch: list[Any], known_by: str) -> list[Any]:
    found = {each[known_by]: each for each in old}
    for each in patch:
        if each.get("$patch") == "delete":
            found.pop(each[known_by], None)
        else:
            found[each[known_by]] = merged(found.get(each[known_by]), each, strategic=True)
    return [*found.values()]


def apply_json_patch(old: Any, operations: list[dict[str, Any]]) -> Any:
    """Only of objects' members: nobody here patches a list by its numbers."""
    made = deepcopy(old)
    for each in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in each["path"].split("/")[1:]]
        place = made
        for part in way:
            place = place[part]
        if each["op"] == "remove":
            del place[last]
        else:
            place[last] = each["value"]
    return made

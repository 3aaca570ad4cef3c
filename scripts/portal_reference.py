"""The API's reference for the developer portal: docs/openapi.json as Markdown pages, one for each tag."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")
JSON_TYPES = ("application/json", "application/x-www-form-urlencoded", "application/problem+json")
SCHEMAS = "schemas"
SERVER = "https://api.example.com"
Tree = Mapping[str, Any]


def pages(document: Tree) -> dict[str, str]:
    """The reference by file name: `index.md`, a page for each tag, `schemas.md`."""
    tagged: dict[str, list[tuple[str, str, Tree]]] = {}
    for path, item in document["paths"].items():
        for method in (each for each in METHODS if each in item):
            tagged.setdefault(item[method]["tags"][0], []).append((method, path, item[method]))
    written = {"index.md": _index(tagged, document), f"{SCHEMAS}.md": _schemas(document["components"]["schemas"])}
    for tag, operations in tagged.items():
        body = "\n".join(line for operation in operations for line in _operation(*operation, document))
        written[f"{slug(tag)}.md"] = f"# {_title(tag)}\n\n{body}\n"
    return written


def slug(text: str) -> str:
    """A tag or a name as a part of an address."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _title(tag: str) -> str:
    words = tag.replace("-", " ")
    return words.replace("api", "API") if words.startswith("api") else words[:1].upper() + words[1:]


def _index(tagged: Mapping[str, list[tuple[str, str, Tree]]], document: Tree) -> str:
    info = document["info"]
    lines = [
        "# API reference",
        "",
        f"All routes of version {info['version']}. [How the API works](../api.md) comes first: credentials, lists, ",
        "edits, sending again, errors. [openapi.json](../openapi.json) is the same for programs (OpenAPI 3.1).",
    ]
    for tag, operations in tagged.items():
        lines += ["", f"## {_title(tag)} {{#{slug(tag)}}}", "", "| route | |", "| --- | --- |"]
        for method, path, told in operations:
            target = f"{slug(tag)}.md#{told['operationId']}"
            lines.append(f"| [`{method.upper()} {path}`]({target}) | {_cell(told['summary'])} |")
    return "\n".join(lines) + "\n"


def _operation(method: str, path: str, told: Tree, document: Tree) -> Iterator[str]:
    yield from (f"## {told['summary']} {{#{told['operationId']}}}", "", f"`{method.upper()} {path}`", "")
    if "description" in told:
        yield from (told["description"], "")
    yield from (_wanted(told), "")
    if told.get("parameters"):
        yield from ("| parameter | in | type | |", "| --- | --- | --- | --- |")
        for each in told["parameters"]:
            need = "" if each.get("required") else "not needed. "
            words = need + (each.get("description") or each["schema"].get("description", ""))
            yield f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} | {_cell(words)} |"
        yield ""
    body = _content(told.get("requestBody", {}))
    if body:
        yield from ("**Body**", "", *_fields(_resolved(body[1]["schema"], document)), "")
    yield from ("```sh", *_curl(method, path, body, document), "```", "")
    yield from _answers(told["responses"])


def _wanted(told: Tree) -> str:
    if not told.get("security"):
        return "Needs no credential."
    ways = [name for each in told["security"] for name in each]
    named = {"session": "a person's login", "key": "an API key", "client": "an access token"}
    who = " or ".join(dict.fromkeys(named[way] for way in ways))
    permission = told.get("x-permission")
    if not permission:
        return f"Needs {who}."
    return f"Needs {who}{f' with the permission `{permission}`' if ':' in permission else ''}."


def _content(told: Tree) -> tuple[str, Tree] | None:
    content = told.get("content", {})
    return next(((kind, content[kind]) for kind in (*JSON_TYPES, *content) if kind in content), None)


def _resolved(schema: Tree, document: Tree) -> Tree:
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def _curl(method: str, path: str, body: tuple[str, Tree] | None, document: Tree) -> list[str]:
    verb = "" if method == "get" else f" -X {method.upper()}"
    lines = [f'curl{verb} "{SERVER}{path}" -H "Authorization: Bearer $AICD_API_KEY"']
    if body:
        schema = _resolved(body[1]["schema"], document)
        example: Any = body[1].get("example") or next(iter(schema.get("examples", ())), {})
        text = json.dumps(example, ensure_ascii=False).replace("'", "'\\''")
        lines = [f"{lines[0]} \\", f"  -H 'Content-Type: {body[0]}' -d '{text}'"]
    return lines


def _answers(responses: Tree) -> Iterator[str]:
    yield from ("| answer | |", "| --- | --- |")
    for status, told in sorted(responses.items()):
        content = _content(told)
        what = _type(content[1]["schema"]) if content and content[1].get("schema") else "no body"
        yield f"| {'any other' if status == 'default' else status} | {_cell(told.get('description', ''))}: {what} |"
    yield ""
    for status, told in sorted(responses.items()):
        content = _content(told)
        if status.startswith("2") and content and "example" in content[1]:
            yield from ("```json", json.dumps(content[1]["example"], indent=2, ensure_ascii=False), "```", "")


def _schemas(schemas: Mapping[str, Tree]) -> str:
    lines = ["# Schemas", "", "What bodies and answers are made of."]
    for name, schema in sorted(schemas.items()):
        lines += ["", f"## {name} {{#{name.lower()}}}", ""]
        if "description" in schema:
            lines += [schema["description"], ""]
        lines += _fields(schema)
    return "\n".join(lines) + "\n"


def _fields(schema: Tree) -> list[str]:
    if "properties" not in schema:
        return [_type(schema)]
    lines = ["| field | type | |", "| --- | --- | --- |"]
    for name, told in schema["properties"].items():
        words = told.get("description", "")
        if name not in schema.get("required", ()):
            default = f"`{json.dumps(told['default'])}` if not given. " if "default" in told else "may be left out. "
            words = default + words
        lines.append(f"| `{name}` | {_type(told)} | {_cell(words)} |")
    return lines


def _type(schema: Tree) -> str:
    """A schema in a few words, with links to those that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}]({SCHEMAS}.md#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[several]))
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ("one of " if len(values) > 1 else "") + ", ".join(f"`{json.dumps(value)}`" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [
        f"{words} {schema[key]:.0f}"
        for key, words in (("minLength", "at least"), ("maxLength", "at most"), ("minimum", "from"), ("maximum", "to"))
        if key in schema
    ]
    named = (
        f"{schema.get('type', 'any')} ({schema['format']})" if "format" in schema else str(schema.get("type", "any"))
    )
    return ", ".join((named, *limits))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

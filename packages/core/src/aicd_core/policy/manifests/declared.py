"""Direct dependencies, as manifests declare them: name and what is asked of it."""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

Declared = dict[str, str]
"""What each name is asked to be: a version, a range, an address."""

_LONGEST_LINE = 1_000
"""Characters of a requirement that are looked at."""
_PYTHON_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*(.*?)\s*(?:#.*)?$")
_QUOTED = re.compile(r"[\"']([A-Za-z0-9][A-Za-z0-9._-]*(?:\[[\w,-]+\])?\s*(?:[<>=!~]=?[^\"']*|@[^\"']*)?)[\"']")
_GO_REQUIRE = re.compile(r"^\s*(?:require\s+)?([\w.-]+\.[\w.-]+/[\w./~-]+)\s+(v\S+)", re.MULTILINE)
_GRADLE = re.compile(
    r"\b(?:\w{0,40}[iI]mplementation|api|\w{0,40}[cC]ompile\w{0,20}|\w{0,40}[rR]untime\w{0,20}|classpath|kapt|\w{0,40}platform)"
    r"\s*\(?\s*[\"']([\w.-]+:[\w.-]+)(?::([\w.+\[\],$-]+))?"
)
_GRADLE_PLUGIN = re.compile(r"\bid\s*\(?\s*[\"']([\w.-]+)[\"']\)?\s*version\s*\(?\s*[\"']([\w.-]+)")
_MAVEN = re.compile(
    r"<(?:dependency|plugin|parent|extension)>\s*(?:<groupId>([^<]+)</groupId>)?\s*"
    r"<artifactId>([^<]+)</artifactId>(?:\s*<version>([^<]+)</version>)?"
)
_GEM = re.compile(r"^\s*(?:gem|\w+\.add_(?:\w+_)?dependency)\s*\(?\s*[\"']([\w-]+)[\"'](.*)$", re.MULTILINE)
_NUGET = re.compile(
    r"<(?:PackageReference|PackageVersion|package)\s[^<>]*?(?:Include|id)=\"([^\"]+)\"([^<>]*)", re.IGNORECASE
)
_NPM_TABLES = (
    *("dependencies", "devDependencies", "peerDependencies", "optionalDependencies", "overrides", "resolutions"),
)


def _requirement(text: str) -> Iterator[tuple[str, str]]:
    match = _PYTHON_NAME.match(" ".join(text[:_LONGEST_LINE].split()))
    if match:
        yield match[1], match[3]


def _requirements(source: str) -> Iterator[tuple[str, str]]:
    for text in source.replace("\\\n", " ").split("\n"):
        if not text.lstrip().startswith(("#", "-")):
            yield from _requirement(text)
        elif "-e " in text or "git+" in text:
            yield text.split("#egg=")[-1].strip(), text.strip()


def _pyproject(source: str) -> Iterator[tuple[str, str]]:
    data = tomllib.loads(source)
    project, tool = _table(data, "project"), _table(data, "tool")
    lists = [project.get("dependencies"), _table(data, "build-system").get("requires")]
    lists += list(_table(project, "optional-dependencies").values()) + list(_table(data, "dependency-groups").values())
    for entry in (entry for row in lists if isinstance(row, list) for entry in row):
        if isinstance(entry, str):
            yield from _requirement(entry)
    poetry = _table(tool, "poetry")
    tables = [_table(poetry, "dependencies"), _table(poetry, "dev-dependencies")]
    tables += [_table(group, "dependencies") for group in _table(poetry, "group").values() if isinstance(group, dict)]
    yield from ((name, _spec(value)) for table in tables for name, value in table.items() if name != "python")


def _table(data: Any, name: str) -> dict[str, Any]:
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _spec(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _setup_cfg(source: str) -> Iterator[tuple[str, str]]:
    parser = configparser.RawConfigParser()
    parser.read_string(source)
    options = [("options", "install_requires"), ("options", "setup_requires")]
    if parser.has_section("options.extras_require"):
        options += [("options.extras_require", name) for name in parser.options("options.extras_require")]
    for section, option in options:
        yield from _requirements(parser.get(section, option, fallback=""))


def _setup_py(source: str) -> Iterator[tuple[str, str]]:
    for part in re.findall(
        r"(?:_requires?|requires|extras_require)\s*=\s*[\[{]((?:[^\[\]{}]|\[[\w,-]*\])*)[\]}]", source
    ):
        for text in _QUOTED.findall(part):
            yield from _requirement(text)


def _pipfile(source: str) -> Iterator[tuple[str, str]]:
    data = tomllib.loads(source)
    for table in ("packages", "dev-packages"):
        yield from ((name, _spec(value)) for name, value in _table(data, table).items())


def _npm(source: str) -> Iterator[tuple[str, str]]:
    data = json.loads(source)
    for table in _NPM_TABLES:
        yield from ((name, _spec(value)) for name, value in _table(data, table).items())


def _cargo(source: str) -> Iterator[tuple[str, str]]:
    data = tomllib.loads(source)
    tables = [data, _table(data, "workspace"), *_table(data, "target").values()]
    for table in tables:
        for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
            yield from ((name, _spec(value)) for name, value in _table(table, kind).items())


def _go(source: str) -> Iterator[tuple[str, str]]:
    for text in source.split("\n"):
        match = (
            None if text.lstrip().startswith(("//", "replace", "exclude")) or "=>" in text else _GO_REQUIRE.match(text)
        )
        if match:
            yield match[1], match[2]


def _maven(source: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{group}:{name}" if group else name, version) for group, name, version in _MAVEN.findall(source))


def _gradle(source: str) -> Iterator[tuple[str, str]]:
    yield from _GRADLE.findall(source)
    yield from _GRADLE_PLUGIN.findall(source)


def _version_catalogue(source: str) -> Iterator[tuple[str, str]]:
    data = tomllib.loads(source)
    for name, value in _table(data, "libraries").items():
        module = value.get("module") if isinstance(value, dict) else _spec(value).rsplit(":", 1)[0]
        yield str(module or name), _spec(value)
    yield from ((f"version {name}", _spec(value)) for name, value in _table(data, "versions").items())


def _composer(source: str) -> Iterator[tuple[str, str]]:
    data = json.loads(source)
    for table in ("require", "require-dev"):
        yield from ((name, _spec(value)) for name, value in _table(data, table).items() if name != "php")


def _nuget(source: str) -> Iterator[tuple[str, str]]:
    yield from _NUGET.findall(source)


def _gems(source: str) -> Iterator[tuple[str, str]]:
    yield from ((name, rest.strip()) for name, rest in _GEM.findall(source))


def _conda(source: str) -> Iterator[tuple[str, str]]:
    for text in re.findall(r"^\s*-\s+(.+)$", source, re.MULTILINE):
        yield from _requirement(text)


_READERS: Mapping[str, Callable[[str], Iterator[tuple[str, str]]]] = MappingProxyType(
    {
        "pyproject.toml": _pyproject,
        "setup.cfg": _setup_cfg,
        "setup.py": _setup_py,
        "Pipfile": _pipfile,
        "environment.yml": _conda,
        "package.json": _npm,
        "Cargo.toml": _cargo,
        "go.mod": _go,
        "pom.xml": _maven,
        "libs.versions.toml": _version_catalogue,
        "composer.json": _composer,
        "Gemfile": _gems,
    }
)
_BY_ENDING: Mapping[str, Callable[[str], Iterator[tuple[str, str]]]] = MappingProxyType(
    {
        "txt": _requirements,
        "in": _requirements,
        "gradle": _gradle,
        "kts": _gradle,
        "gemspec": _gems,
        "csproj": _nuget,
        "fsproj": _nuget,
        "props": _nuget,
        "config": _nuget,
    }
)


def read_declared(path: str, source: str | None) -> Declared:
    """The dependencies that a manifest declares; none when there is no such file, or it cannot be read."""
    name = path.rsplit("/", 1)[-1]
    reader = _READERS.get(name) or _BY_ENDING.get(name.rsplit(".", 1)[-1])
    if source is None or reader is None:
        return {}
    try:
        return {found.strip(): spec.strip() for found, spec in reader(source)}
    except (ValueError, configparser.Error, RecursionError, AttributeError):
        return {}

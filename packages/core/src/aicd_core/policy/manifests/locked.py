"""Packages as locks pin them: version, where from, and with what hash."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Pin:
    """One package at one version. `source` is its address and `digest` its hashes, empty where the lock has none."""

    name: str
    version: str
    source: str = ""
    digest: str = ""
    licence: str = ""


_YARN = re.compile(r"^\"?(@?[^@\"\s]+)@[^\n]*:\n((?:[ \t]+[^\n]*\n?)+)", re.MULTILINE)
_PNPM = re.compile(
    r"^  ['\"]?/?(@?[\w./-]+?)[@/](\d[^:'\"(]*)(?:\([^)]*\))?['\"]?:\s*\n((?:    [^\n]*\n?)*)", re.MULTILINE
)
_GO_SUM = re.compile(r"^(\S+) (v[^\s/]+)(/go\.mod)? (h1:\S+)$", re.MULTILINE)
_GEM = re.compile(r"^    ([\w.-]+) \(([^)]+)\)$", re.MULTILINE)
_GRADLE = re.compile(r"^([\w.-]+:[\w.-]+):([\w.+-]+)=", re.MULTILINE)
_HASHED = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)((?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE)
_ATTRIBUTE = r"\b{}:?\s+\"?([^\"\n{{}}]+)"
_PATHS = ("editable", "virtual", "directory", "path")


def _toml(source: str) -> Iterator[Pin]:
    """uv, Poetry, PDM and Cargo; the workspace's own members are no dependencies."""
    data = tomllib.loads(source)
    for package in data.get("package") or data.get("packages") or ():
        origin = package.get("source")
        if isinstance(origin, dict) and any(key in origin for key in _PATHS):
            continue
        address = origin if isinstance(origin, str) else json.dumps(origin, sort_keys=True) if origin else ""
        files = [package.get("files"), package.get("wheels"), package.get("sdist"), package.get("checksum")]
        digest = " ".join(sorted(set(re.findall(r"[0-9a-f]{64}", json.dumps(files, default=str)))))
        yield Pin(str(package.get("name")), str(package.get("version")), address, digest)


def _npm(source: str) -> Iterator[Pin]:
    data = json.loads(source)
    for path, package in (data.get("packages") or data.get("dependencies") or {}).items():
        name = path.rsplit("node_modules/", 1)[-1]
        if name and isinstance(package, dict) and not package.get("link") and package.get("version"):
            values = [package.get(key) or "" for key in ("version", "resolved", "integrity", "license")]
            yield Pin(name, *(value if isinstance(value, str) else json.dumps(value) for value in values))


def _yarn(source: str) -> Iterator[Pin]:
    for name, body in _YARN.findall(source):
        version, resolved, digest = (
            _attribute(body, key) for key in ("version", "resolved|resolution", "integrity|checksum")
        )
        if version:
            yield Pin(name, version, resolved.split("#")[0], digest)


def _attribute(body: str, names: str) -> str:
    match = re.search(_ATTRIBUTE.format(f"(?:{names})"), body)
    return match[1].strip() if match else ""


def _pnpm(source: str) -> Iterator[Pin]:
    for name, version, body in _PNPM.findall(source):
        yield Pin(name, version, _attribute(body, "tarball"), _attribute(body, "integrity"))


def _go(source: str) -> Iterator[Pin]:
    yield from (
        Pin(name, version, digest=digest) for name, version, only_mod, digest in _GO_SUM.findall(source) if not only_mod
    )


def _pipfile(source: str) -> Iterator[Pin]:
    data = json.loads(source)
    for table in ("default", "develop"):
        for name, package in _items(data.get(table)):
            digest = " ".join(sorted(map(str, package.get("hashes", ()))))
            yield Pin(name, str(package.get("version", "")), str(package.get("git", "")), digest)


def _items(table: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(table, dict):
        yield from ((name, value) for name, value in table.items() if isinstance(value, dict))


def _composer(source: str) -> Iterator[Pin]:
    data = json.loads(source)
    for package in [*data.get("packages", ()), *data.get("packages-dev", ())]:
        origin = package.get("dist") or package.get("source") or {}
        licence = " OR ".join(map(str, package.get("license", ())))
        yield Pin(str(package.get("name")), str(package.get("version")), str(origin.get("url", "")), licence=licence)


def _nuget(source: str) -> Iterator[Pin]:
    for _, packages in _items(json.loads(source).get("dependencies")):
        for name, package in _items(packages):
            yield Pin(name, str(package.get("resolved", "")), digest=str(package.get("contentHash", "")))


def _pairs(pattern: re.Pattern[str]) -> Callable[[str], Iterator[Pin]]:
    return lambda source: (Pin(match[1], match[2]) for match in pattern.finditer(source))


def _hashed(source: str) -> Iterator[Pin]:
    for name, version, rest in _HASHED.findall(source):
        yield Pin(name, version, digest=" ".join(sorted(re.findall(r"sha256:([0-9a-f]{64})", rest))))


_READERS: Mapping[str, Callable[[str], Iterator[Pin]]] = MappingProxyType(
    {
        **dict.fromkeys(("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Cargo.lock"), _toml),
        **dict.fromkeys(("package-lock.json", "npm-shrinkwrap.json"), _npm),
        "yarn.lock": _yarn,
        "pnpm-lock.yaml": _pnpm,
        "go.sum": _go,
        "Pipfile.lock": _pipfile,
        "composer.lock": _composer,
        "packages.lock.json": _nuget,
        "Gemfile.lock": _pairs(_GEM),
        "gradle.lockfile": _pairs(_GRADLE),
        "requirements.lock": _hashed,
    }
)


def read_locked(path: str, source: str | None) -> dict[tuple[str, str], Pin]:
    """What a lock pins, by name and version; nothing when there is no such file, or it cannot be read."""
    reader = _READERS.get(path.rsplit("/", 1)[-1])
    if source is None or reader is None:
        return {}
    try:
        return {(pin.name, pin.version): pin for pin in reader(source)}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}

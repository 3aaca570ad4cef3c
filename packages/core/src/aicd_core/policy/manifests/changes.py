"""What a change does to what a repository depends on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aicd_core.policy.manifests.declared import read_declared
from aicd_core.policy.manifests.files import ecosystem_of
from aicd_core.policy.manifests.locked import Pin, read_locked
from aicd_core.policy.versions import Versions

_NAME = re.compile(r"^@?[\w./:~-]+")


@dataclass(frozen=True)
class DependencyChange:
    """One dependency that is added or asked for differently; `was` is empty for a new one."""

    ecosystem: str
    path: str
    name: str
    was: str
    now: str
    locked: bool


def key_of(name: str) -> str:
    """A name as indexes compare it: without a version or extras, `-`, `_` and `.` alike, in lower case."""
    match = _NAME.match(name.strip())
    found = (match[0] if match else name).rstrip(":.-")
    found = re.split(r"(?<=.)@", found)[0]
    return re.sub(r"[-_.]+", "-", found).lower()


def dependency_changes(versions: tuple[Versions, ...]) -> Iterator[DependencyChange]:
    """Every dependency that is added or changed, in manifests and in locks; one that goes is no finding."""
    for version in versions:
        kind = ecosystem_of(version.file.path)
        if kind is None or version.new is None:
            continue
        if kind[1]:
            yield from _locked(kind[0], version)
        else:
            was, now = (_declared(version.file.path, text) for text in (version.old, version.new))
            for name, spec in now.items():
                if was.get(name) != spec:
                    yield DependencyChange(kind[0], version.file.path, name, was.get(name, ""), spec, locked=False)


def _declared(path: str, source: str | None) -> dict[str, str]:
    return read_declared(path, source)


def _locked(ecosystem: str, version: Versions) -> Iterator[DependencyChange]:
    path = version.file.path
    was, now = read_locked(path, version.old), read_locked(path, version.new)
    before = dict(was.keys())
    for name, number in now:
        if (name, number) not in was:
            yield DependencyChange(ecosystem, path, name, before.get(name, ""), number, locked=True)


def replaced_pins(versions: tuple[Versions, ...]) -> Iterator[tuple[str, Pin, Pin]]:
    """Packages whose hash or address changes while the version stays: path, pin before, pin after."""
    for version in versions:
        kind = ecosystem_of(version.file.path)
        if kind is None or not kind[1]:
            continue
        was, now = (read_locked(version.file.path, text) for text in (version.old, version.new))
        for key in was.keys() & now.keys():
            if _is_replaced(was[key], now[key]):
                yield version.file.path, was[key], now[key]


def _is_replaced(old: Pin, new: Pin) -> bool:
    kept = set(old.digest.split()) & set(new.digest.split())
    return (bool(old.digest) and not kept) or (bool(old.source) and old.source != new.source)

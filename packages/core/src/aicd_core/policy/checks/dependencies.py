"""Rules on what a repository depends on, and where that comes from."""

import re
from collections.abc import Iterator

from aicd_core.policy.case import Case, Objection, quoted, shown
from aicd_core.policy.manifests.changes import DependencyChange, dependency_changes, key_of, replaced_pins
from aicd_core.policy.manifests.files import ecosystem_of, is_manifest

_MOST_NAMED = 10
_PLAN_IT = "Name it in the plan's new_dependencies, or leave it as it is."
_LOOK = "Let a person check where it comes from, or use the ecosystem's own registry."

_ADDRESS = re.compile(
    r"\b(?:git|hg|svn|bzr)\+|@\s*(?:git\+)?(?:https?|file|ssh):|#egg=|"
    r"^\s*(?:-i|--(?:extra-)?index-url|--find-links|-f|--trusted-host)\b|"
    r"[\"'](?:git(?:hub|lab)?[:+@]|bitbucket:|file:|link:|https?://[^\"']+\.(?:git|tgz|tar\.gz|zip))|"
    r"[\"']npm:|\b(?:git|tag|rev)\s*=\s*[\"']|\b(?:path|url)\s*=\s*[\"'](?:\.\.|https?:|file:|git)|"
    r"\[\[?tool\.(?:uv\.index|poetry\.source|pdm\.source)|^\s*replace\b|=>|^\s*\[(?:patch|source|replace)[.\]]|"
    r"<repository>|<pluginRepository>|\bmaven\s*[{(]|\bflatDir\b|^\s*source\s+[\"']|\bindex-url\s*=|"
    r"\bgit:\s|,\s*:?git(?:hub)?\s*(?:=>|:)|\"repositories\"\s*:",
    re.MULTILINE,
)
"""What makes a manifest take a package from elsewhere: an address, another index, a substitute."""

_REGISTRY_FILES = re.compile(
    r"(?:^|/)(?:\.npmrc|\.yarnrc(?:\.yml)?|\.pnpmfile\.cjs|pip\.conf|\.pypirc|uv\.toml|\.cargo/config(?:\.toml)?|"
    r"nuget\.config|\.bundle/config|\.condarc|settings\.xml|go\.work|\.mvn/[\w./-]+|gradle-wrapper\.properties|bunfig\.toml)$",
    re.IGNORECASE,
)
_REGISTRY = re.compile(
    r"registry|index|repositor|source|mirror|proxy|replace|url|trusted|cafile|strict-ssl|distribution|ignore-scripts|verify",
    re.IGNORECASE,
)
_LOCK_HOST = re.compile(r"(?:https?|git\+\w+|git|ssh)://([\w.@-]+)")


def dependency(case: Case) -> Iterator[Objection]:
    planned = {key_of(name) for name in case.plan.new_dependencies}
    changes = tuple(dependency_changes(case.versions))
    led = _ecosystems_led(case, changes, planned)
    unplanned = [change for change in changes if not _is_planned(change, planned)]
    asked = {change.ecosystem for change in unplanned if not change.locked}
    for change in unplanned:
        if not change.locked or change.ecosystem not in led | asked:
            yield _unplanned(change)
    for path in sorted({change.path for change in unplanned if change.locked and change.ecosystem in asked - led}):
        names = sorted({change.name for change in unplanned if change.path == path})
        some = ", ".join(names[:_MOST_NAMED]) + (f" and {len(names) - _MOST_NAMED} more" * (len(names) > _MOST_NAMED))
        yield Objection(f"The lock moves with that: {shown(some)}.", _PLAN_IT, path)


def _unplanned(change: DependencyChange) -> Objection:
    if change.was:
        said = f"goes from {shown(change.was)} to {shown(change.now or 'any')}"
    else:
        said = f"is new{f', at {shown(change.now)}' if change.now else ''}"
    where = "locked" if change.locked else "direct"
    message = f"The {where} {change.ecosystem} dependency {shown(change.name)} {said}; the plan does not name it."
    return Objection(message, _PLAN_IT, change.path)


def _is_planned(change: DependencyChange, planned: set[str]) -> bool:
    key = key_of(change.name)
    return key in planned or (":" in key and key.rsplit(":", 1)[-1] in planned)


def _ecosystems_led(case: Case, changes: tuple[DependencyChange, ...], planned: set[str]) -> set[str]:
    """Ecosystems in which a planned dependency, or one that goes, explains what moves in the lock."""
    led = {change.ecosystem for change in changes if _is_planned(change, planned)}
    declared = {change.path for change in changes if not change.locked}
    for version in case.versions:
        kind = ecosystem_of(version.file.path)
        touched = kind is not None and not kind[1] and version.file.path not in declared
        if touched and kind is not None and version.file.removed_lines > version.file.added_lines:
            led.add(kind[0])
    return led


def dependency_source(case: Case) -> Iterator[Objection]:
    for line in case.added:
        manifest = ecosystem_of(line.path)
        declares = manifest is not None and not manifest[1] and _ADDRESS.search(line.text) is not None
        if (declares and not _is_go_block(line.path, line.text)) or _sets_registry(line.path, line.text):
            message = (
                f"This line takes packages from elsewhere than the ecosystem's registry.{quoted(_safe(line.text))}"
            )
            yield Objection(message, _LOOK, line.path, line.line)
    yield from _new_hosts(case)
    for path, old, _ in replaced_pins(case.versions):
        message = f"The lock keeps {shown(old.name)} at {shown(old.version)}, but with another hash or address."
        yield Objection(message, "Let the tool write the lock anew, or let a person check the package.", path)


def _sets_registry(path: str, text: str) -> bool:
    return _REGISTRY_FILES.search(path) is not None and _REGISTRY.search(text) is not None


def _is_go_block(path: str, text: str) -> bool:
    """`=>` outside of go.mod and Ruby is an arrow of the language, as in a build script."""
    return text.strip().startswith("//") or ("=>" in text and not path.endswith((".mod", "Gemfile", ".gemspec")))


def _safe(text: str) -> str:
    """A line without what may be a login in an address."""
    return re.sub(r"//[^/\s@]*@", "//…@", text.strip())


def _new_hosts(case: Case) -> Iterator[Objection]:
    """Locks that begin to fetch from a host they did not fetch from."""
    for version in case.versions:
        kind = ecosystem_of(version.file.path)
        if kind is None or not kind[1] or version.old is None or version.new is None:
            continue
        was, now = (frozenset(_LOCK_HOST.findall(text)) for text in (version.old, version.new))
        for host in sorted(now - was) if was and is_manifest(version.file.path) else ():
            yield Objection(f"The lock begins to fetch from {shown(host)}.", _LOOK, version.file.path)

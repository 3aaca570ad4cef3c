"""Which files declare dependencies, and which lock them."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from aicd_core.policy.globs import first_match

ECOSYSTEMS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "Python": (
            (
                *("pyproject.toml", "requirements*.txt", "requirements*.in", "*requirements.txt", "setup.py"),
                *("setup.cfg", "Pipfile", "constraints*.txt", "**/requirements/*.txt", "environment.yml"),
            ),
            ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "requirements*.lock"),
        ),
        "npm": (
            ("package.json",),
            (
                *("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"),
                "deno.lock",
            ),
        ),
        "Go": (("go.mod",), ("go.sum",)),
        "Rust": (("Cargo.toml",), ("Cargo.lock",)),
        "Java": (
            ("pom.xml", "build.gradle", "build.gradle.kts", "libs.versions.toml", "settings.gradle*"),
            ("gradle.lockfile", "verification-metadata.xml"),
        ),
        "Ruby": (("Gemfile", "*.gemspec"), ("Gemfile.lock",)),
        "PHP": (("composer.json",), ("composer.lock",)),
        ".NET": (("*.csproj", "*.fsproj", "Directory.Packages.props", "packages.config"), ("packages.lock.json",)),
    }
)
"""By ecosystem: the globs of its manifests, then those of its locks."""


def ecosystem_of(path: str) -> tuple[str, bool] | None:
    """The ecosystem that a path belongs to and whether it is a lock; None for any other file."""
    if "node_modules" in path.split("/"):
        return None
    for name, (manifests, locks) in ECOSYSTEMS.items():
        if first_match(locks, path) is not None:
            return name, True
        if first_match(manifests, path) is not None:
            return name, False
    return None


def is_manifest(path: str) -> bool:
    """True for a manifest or a lock."""
    return ecosystem_of(path) is not None


def is_lock_of(path: str, manifest: str) -> bool:
    """True when `path` is a lock that tools write for `manifest`: of its ecosystem, in its folder or above."""
    lock, declared = ecosystem_of(path), ecosystem_of(manifest)
    if lock is None or declared is None or not lock[1] or declared[1] or lock[0] != declared[0]:
        return False
    return PurePosixPath(manifest).is_relative_to(PurePosixPath(path).parent)

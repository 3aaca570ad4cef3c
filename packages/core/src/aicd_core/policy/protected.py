"""The paths that are protected unless an organisation says otherwise, with the reason for each kind."""

from collections.abc import Mapping
from types import MappingProxyType

_CI = (
    "it decides what runs in CI, and CI runs with the repository's secrets as soon as the branch is pushed, "
    "before anybody has reviewed it"
)
_SELF = "it holds the policy that this very change is judged by"
_OWNERS = "it decides whose review a change needs"
_MODULES = "it makes others fetch code from elsewhere"

_FETCHES = "it decides what a bot fetches and merges on its own"
_SECRETS = "it decides who can read the repository's secrets, or what a search for secrets passes over"

_GLOBS_BY_REASON = {
    _SELF: ("/.aicd.yml",),
    _CI: (
        "/.github/workflows",
        "/.github/actions",
        "/.gitea/workflows",
        "/.forgejo/workflows",
        "/.gitlab-ci.yml",
        "/.circleci",
        "/.buildkite",
        "/.woodpecker",
        "/.woodpecker.yml",
        "/.woodpecker.yaml",
        "/.drone.yml",
        "/.travis.yml",
        "/.cirrus.yml",
        "/.azure-pipelines",
        "/azure-pipelines.yml",
        "/azure-pipelines.yaml",
        "/bitbucket-pipelines.yml",
        "/appveyor.yml",
        "/.appveyor.yml",
        "/buildspec.yml",
        "/cloudbuild.yaml",
        "Jenkinsfile",
    ),
    _OWNERS: ("/CODEOWNERS", "/.github/CODEOWNERS", "/.gitlab/CODEOWNERS", "/docs/CODEOWNERS"),
    _MODULES: (".gitmodules",),
    _FETCHES: ("/.github/dependabot.yml", "/renovate.json", "/.github/renovate.json", "/.renovaterc"),
    _SECRETS: (
        *(".sops.yaml", ".secrets.baseline", ".gitleaks.toml", ".gitleaksignore", ".gitguardian.yaml"),
        *(".git-crypt", ".blackbox", ".trufflehog.yml", "ansible-vault.key"),
    ),
}

PROTECTED_PATHS: tuple[str, ...] = tuple(glob for globs in _GLOBS_BY_REASON.values() for glob in globs)

REASONS: Mapping[str, str] = MappingProxyType(
    {glob: reason for reason, globs in _GLOBS_BY_REASON.items() for glob in globs}
)
"""Why each of `PROTECTED_PATHS` is protected; a pattern added by somebody else is its own reason."""

"""Which files set how a repository is checked."""

from aicd_core.policy.globs import first_match

STRUCTURED: tuple[str, ...] = (
    *("pyproject.toml", "ruff.toml", ".ruff.toml", "setup.cfg", "tox.ini", "pytest.ini", ".pytest.ini", "mypy.ini"),
    *(".mypy.ini", ".flake8", ".coveragerc", ".pylintrc", "pylintrc", ".bandit", "bandit.yaml", "pyrightconfig.json"),
    *(".eslintrc", ".eslintrc.json", ".eslintrc.yml", ".eslintrc.yaml", "tsconfig*.json", "package.json", "biome.json"),
    *("biome.jsonc", ".nycrc", ".nycrc.json", ".c8rc.json", "jest.config.json", ".mocharc.json", ".mocharc.yml"),
    *("vitest.config.json", ".stylelintrc", ".stylelintrc.json", ".oxlintrc.json", "deno.json", ".swcrc", ".jshintrc"),
    *(".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json", "clippy.toml", ".clippy.toml"),
    *(".rubocop.yml", "phpstan.neon", "phpunit.xml", ".pre-commit-config.yaml", "codecov.yml", ".codecov.yml"),
    *(
        ".codeclimate.yml",
        "sonar-project.properties",
        ".semgrep.yml",
        ".yamllint",
        ".markdownlint.json",
        ".hadolint.yaml",
    ),
    *("Cargo.toml", "noxfile.toml", ".importlinter", "lefthook.yml", ".lintstagedrc.json", "detekt.yml"),
)
"""Files whose settings are compared key by key."""

SCRIPTS: tuple[str, ...] = (
    *("eslint.config.*", ".eslintrc.js", ".eslintrc.cjs", "jest.config.*", "vitest.config.*", "vite.config.*"),
    *("playwright.config.*", "cypress.config.*", "karma.conf.js", ".mocharc.js", ".mocharc.cjs", "vitest.workspace.*"),
    *("noxfile.py", "build.gradle", "build.gradle.kts", "pom.xml", ".prettierrc*", "babel.config.js", "checkstyle.xml"),
)
"""Settings written as code or in a format of their own: told by their lines."""

IGNORE_LISTS: tuple[str, ...] = (
    *(".eslintignore", ".stylelintignore", ".prettierignore", ".semgrepignore", ".trivyignore", ".flake8ignore"),
    *(".snyk", ".bandit-ignore", ".shellcheckignore", ".markdownlintignore", ".nycignore", ".rubocop_todo.yml"),
    *("phpstan-baseline.neon", ".yamllintignore", ".pylintignore", "lint-baseline.xml", "detekt-baseline.xml"),
)
"""Each added line takes something out of a check."""

COMMANDS: tuple[str, ...] = (
    *("Makefile", "makefile", "GNUmakefile", "*.mk", "justfile", "Justfile", "Taskfile.yml", "*.sh", "*.bash"),
    *(
        "tox.ini",
        "noxfile.py",
        "package.json",
        "Rakefile",
        "Dockerfile*",
        "setup.cfg",
        "pyproject.toml",
        "composer.json",
    ),
    *(".ci/**", "ci/**", "scripts/**", ".pre-commit-config.yaml", "lefthook.yml", ".husky/**", "turbo.json"),
)
"""Files in which checks are called."""


def is_structured(path: str) -> bool:
    """True for settings that are compared key by key."""
    return first_match(STRUCTURED, path) is not None


def is_settings_file(path: str) -> bool:
    """True for a file that sets how the repository is checked."""
    return is_structured(path) or first_match((*SCRIPTS, *IGNORE_LISTS), path) is not None

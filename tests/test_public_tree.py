"""`make public`: nothing private is left in the export, and what does not fit is refused."""

import functools
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from aicd_core.settings import Settings
from histories import git
from settings_classes import settings_classes

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
public = importlib.import_module("make_public")
portal = importlib.import_module("build_portal")
DECLARED = public.OpenCore.read(ROOT)
PROMPT_WORDS, PAGE_WORDS = 8, 16
"""So many words in a row are nobody's chance. Pages may share a command's line, prompts share nothing."""


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def shingles(text: str, length: int) -> set[str]:
    found = words(text)
    return {" ".join(found[start : start + length]) for start in range(len(found) - length + 1)}


def private_files() -> list[Path]:
    return [ROOT / path for path in public.git(ROOT, "ls-files").splitlines() if DECLARED.is_private(path)]


def names() -> set[str]:
    """Distributions, modules, folders and pages that are private."""
    found = set(DECLARED.private)
    for manifest in (path for path in private_files() if path.name == "pyproject.toml"):
        if manifest.parent.parent.parent == ROOT:
            told = tomllib.loads(manifest.read_text())
            found |= {told["project"]["name"], told["tool"]["uv"]["build-backend"]["module-name"], manifest.parent.name}
    return found - {"backend"}


def private_settings() -> set[str]:
    fields = set[str]().union(*(kind.model_fields for kind in settings_classes(private_files())))
    return {f"AICD_{name.upper()}" for name in fields - set(Settings.model_fields)}


def private_commands() -> set[str]:
    """Commands that private packages add to `aicd`."""
    app = typer.Typer()
    for module in ("aicd_backend.commands", "aicd_brain.commands"):
        importlib.import_module(module).register(app)
    told = {str(command.name) for command in app.registered_commands}
    return told | {str(group.name) for group in app.registered_groups}


def texts(tree: Path) -> Iterator[tuple[str, str]]:
    """Every text file of an export, by its path; its .gitignore without what names the private paths on purpose."""
    for path in sorted(tree.rglob("*")):
        if path.is_symlink() or not path.is_file() or ".git" in path.relative_to(tree).parts:
            continue
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        yield str(path.relative_to(tree)), text.removesuffix(DECLARED.ignored()) if path.name == ".gitignore" else text


@dataclass(frozen=True)
class Private:
    """What no public file may have."""

    name: re.Pattern[str]
    setting: re.Pattern[str]
    command: re.Pattern[str]
    prompts: set[str]
    pages: set[str]
    contents: set[bytes]


@functools.cache
def private() -> Private:
    files = private_files()
    prompts = [path for path in files if path.parent.name == "prompts"]
    pages = [path for path in files if path.suffix == ".md" and path not in prompts]
    commands = "|".join(private_commands())
    return Private(
        name=re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in names())),
        setting=re.compile("|".join(rf"\b{name}\b" for name in private_settings())),
        command=re.compile(rf"(?:`|^)aicd (?:{commands})\b", re.MULTILINE),
        prompts=set().union(*(shingles(path.read_text(), PROMPT_WORDS) for path in prompts)),
        pages=set().union(*(shingles(path.read_text(), PAGE_WORDS) for path in pages)),
        contents={path.read_bytes() for path in files if path.stat().st_size > 100},
    )


def leaks(tree: Path) -> Iterator[str]:
    """What is private in an export, and where."""
    ours = private()
    for name, text in texts(tree):
        if DECLARED.is_private(name):
            yield f"{name} is private"
        if (tree / name).read_bytes() in ours.contents:
            yield f"{name} is a copy of a private file"
        yield from (f"{name} names {found.group()}" for found in ours.name.finditer(text))
        yield from (f"{name} names the setting {found.group()}" for found in ours.setting.finditer(text))
        if name.endswith(".md"):
            yield from (f"{name} shows {found.group()}" for found in ours.command.finditer(text))
        yield from (f"{name} has of a prompt: {shared}" for shared in ours.prompts & shingles(text, PROMPT_WORDS))
        yield from (f"{name} has of a private page: {shared}" for shared in ours.pages & shingles(text, PAGE_WORDS))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public tree, without its own lock."""
    tree = tmp_path_factory.mktemp("export") / "public"
    public.export(ROOT, tree)
    return tree


def test_nothing_private_is_left(exported: Path):
    found = sorted(set(leaks(exported)))
    assert not found, "reword these files, or see to them in open-core.toml:\n" + "\n".join(found)


def test_the_export_builds_its_portal_of_its_own_pages(exported: Path, tmp_path: Path):
    site = tmp_path / "site"
    portal.build(exported, site)
    assert (site / "quickstart" / "index.html").is_file()
    assert not (site / "billing").exists()
    assert sorted(set(leaks(site))) == []


def test_every_private_path_is_ignored_and_the_rest_is_there(exported: Path):
    ignored = (exported / ".gitignore").read_text().splitlines()
    assert {f"/{path}" for path in DECLARED.private} <= set(ignored)
    assert {"/apps/backend", "/packages/proprietary-ai"} <= set(ignored)
    tracked = set(public.git(ROOT, "ls-files").splitlines())
    here = {str(path.relative_to(exported)) for path in exported.rglob("*") if not path.is_dir() or path.is_symlink()}
    assert here == {path for path in tracked if not DECLARED.is_private(path)}
    assert not (exported / ".git").exists()
    for page in exported.rglob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text()):
            assert (page.parent / target).exists() or "policy_corpus" in str(page), f"{page} links to {target}"


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("from aicd_brain.loop import x\n", "names aicd_brain"),
        ("see packages/proprietary-ai/src\n", "names packages/proprietary-ai"),
        ("pip install aicd-backend\n", "names aicd-backend"),
        ("AICD_ORIGINS=x\n", "names the setting AICD_ORIGINS"),
        ("AICD_ANTHROPIC_API_KEY=x\n", "names the setting AICD_ANTHROPIC_API_KEY"),
        ("[page](docs/bring-your-model.md)\n", "names docs/bring-your-model.md"),
        ("Type `aicd serve`.\n", "shows `aicd serve"),
        ("What the coder\n  claims is  a claim. Data and instructions\n", "has of a prompt"),
        ((ROOT / "docs" / "login.md").read_text()[400:1400], "has of a private page"),
        ((ROOT / "packages/proprietary-ai/src/aicd_brain/errors.py").read_text(), "is a copy of a private file"),
    ],
)
def test_what_is_planted_is_found(tmp_path: Path, planted: str, found: str):
    (tmp_path / "page.md").write_text(planted)
    assert any(found in leak for leak in leaks(tmp_path))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A tree with a private folder and one shared file."""
    root = tmp_path / "small"
    (root / "secret").mkdir(parents=True)
    (root / "secret" / "plan.txt").write_text("hush\n")
    (root / ".gitignore").write_text("build/\n")
    (root / "README").write_text("Public.\nThe secret plan.\nMore, secretly.\n")
    declaration = (
        'private = ["secret"]\n[[adapt]]\nfile = "README"\ndrop = ["The secret"]\nreplace = [[", secretly", ""]]\n'
    )
    (root / "open-core.toml").write_text(declaration)
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Begin")
    return root


def test_a_tree_is_exported_again_over_itself_and_keeps_its_git(small: Path, tmp_path: Path):
    dest = tmp_path / "dest"
    public.export(small, dest)
    assert (dest / "README").read_text() == "Public.\nMore.\n"
    assert not (dest / "secret").exists()
    git(dest, "init", "-q")
    (dest / "gone.txt").write_text("of an earlier export")
    public.export(small, dest)
    assert sorted(path.name for path in dest.iterdir()) == [".git", ".gitignore", "README", "open-core.toml"]


def test_what_is_not_committed_is_refused(small: Path):
    public.require_committed(small)
    (small / "new.txt").write_text("x")
    with pytest.raises(public.ExportError, match=r"1 files differ:\n  \?\? new\.txt\nCommit them"):
        public.require_committed(small)


def test_a_folder_of_somebody_elses_is_not_touched(small: Path, tmp_path: Path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "work.txt").write_text("mine")
    for dest in (foreign, small):
        with pytest.raises(public.ExportError, match="no former export and not empty"):
            public.export(small, dest)
    assert (foreign / "work.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("declaration", "why"),
    [
        ('private = ["gone"]\nadapt = []\n', "names gone, which does not exist"),
        ('private = []\n[[adapt]]\nfile = "README"\ndrop = ["Nowhere"]\n', "README has 0 times, not once: 'Nowhere'"),
        ('private = []\n[[adapt]]\nfile = "README"\nreplace = [["secret", ""]]\n', "README has 2 times"),
        ('private = []\n[[adapt]]\nfile = "README"\ncut = ["x"]\n', "Extra inputs are not permitted"),
        ("private = [\n", "open-core.toml: "),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(small: Path, tmp_path: Path, declaration: str, why: str):
    (small / "open-core.toml").write_text(declaration)
    with pytest.raises(public.ExportError, match=re.escape(why)):
        public.export(small, tmp_path / "dest")
    assert not (tmp_path / "dest").exists()


def test_the_command_refuses_on_one_line_and_writes_nothing(small: Path, tmp_path: Path):
    (small / "scripts").mkdir()
    shutil.copy2(ROOT / "scripts" / "make_public.py", small / "scripts")
    command = [sys.executable, str(small / "scripts" / "make_public.py"), str(tmp_path / "dest")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Only what is committed is exported")
    assert not (tmp_path / "dest").exists()

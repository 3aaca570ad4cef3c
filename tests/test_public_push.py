"""`scripts/push_public.sh`: the public tree becomes one commit of the public repository, and never more than that."""

import shutil
import subprocess
from pathlib import Path

import pytest

from histories import git

SCRIPT = Path(__file__).parents[1] / "scripts/push_public.sh"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with an export in it, and a public repository beside it, `public.git`, that has other files."""
    root = tmp_path / "private"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, root / "scripts")
    (root / "build/public").mkdir(parents=True)
    (root / "build/public/.gitignore").write_text("/secret\n")
    (root / "build/public/README").write_text("One.\n")
    (root / "build/public/secret").write_text("hush\n")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q", "-b", "main")
    (other / "gone.txt").write_text("of an older release\n")
    git(other, "add", ".")
    git(other, "commit", "-q", "-m", "v1.0.0")
    git(tmp_path, "clone", "-q", "--bare", str(other), "public.git")
    return root


def push(root: Path, name: str) -> tuple[int, str]:
    command = [str(root / "scripts/push_public.sh"), str(root.parent / "public.git"), name]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_release_is_one_commit_and_a_tag(tree: Path):
    public = tree.parent / "public.git"
    assert push(tree, "v1.1.0")[0] == 0
    assert git(public, "log", "--format=%s", "main").split() == [b"v1.1.0", b"v1.0.0"]
    assert git(public, "ls-tree", "-r", "--name-only", "main").split() == [b".gitignore", b"README"]
    assert git(public, "rev-parse", "v1.1.0") == git(public, "rev-parse", "main")
    assert not (tree / "build/public/.git").exists()
    code, said = push(tree, "v1.1.0")
    assert (code, said) == (0, "The public repository has this tree already.\n")
    (tree / "build/public/README").write_text("Two.\n")
    assert push(tree, "main")[0] == 0
    assert git(public, "tag").split() == [b"v1.1.0"]
    assert git(public, "show", "main:README") == b"Two.\n"


def test_without_an_export_nothing_is_pushed(tree: Path):
    shutil.rmtree(tree / "build")
    code, said = push(tree, "v1.1.0")
    assert (code, said) == (1, "There is no tree in build/public. Make it: make public\n")
    assert git(tree.parent / "public.git", "log", "--format=%s", "main").split() == [b"v1.0.0"]

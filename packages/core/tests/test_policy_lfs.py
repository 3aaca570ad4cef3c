"""Files that a repository keeps in Git LFS: pointers pass, the files themselves wait for a person."""

import pytest

from aicd_core.contracts import ChangeSet, FileChange, FileOp, PolicyVerdict
from aicd_core.contracts import TestReport as Tests
from aicd_core.policy import DEFAULT_RULES, evaluate, paths_to_read, plan_of
from aicd_core.policy.attributes import LfsPaths, attribute_files

ATTRIBUTES = b"*.psd filter=lfs diff=lfs merge=lfs -text\n"
OID = "a" * 64


def pointer(oid: str = OID, size: int = 12345) -> str:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"


def created(content: str, path: str = "art/logo.psd", *, size: int | None = None, mode: str = "100644") -> ChangeSet:
    lines = content.splitlines(keepends=True)
    body = "".join(f"+{line}" for line in lines)
    end = "" if content.endswith("\n") or not content else "\n\\ No newline at end of file\n"
    patch = f"diff --git a/{path} b/{path}\nnew file mode {mode}\n"
    if lines:
        patch += f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}{end}"
    file = FileChange(
        path=path,
        op=FileOp.CREATE,
        new_mode=mode,
        added_lines=len(lines),
        new_size=len(content) if size is None else size,
    )
    return ChangeSet(base_sha="b" * 40, tree_sha="c" * 40, files=(file,), patch=patch.encode())


def findings(change: ChangeSet, attributes: dict[str, bytes]) -> list[str | None]:
    report = evaluate(change, plan_of(change.files, "b" * 40, "t"), Tests(), DEFAULT_RULES, attributes)
    found = [finding for finding in report.findings if finding.rule == "lfs_pointer"]
    assert all(finding.verdict is PolicyVerdict.ASK and "Git LFS" in finding.message for finding in found)
    return [finding.path for finding in found]


AT_ROOT = {".gitattributes": ATTRIBUTES}


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (pointer(), False),
        (pointer().replace("oid", "ext-0-foo sha256:" + "b" * 64 + "\noid"), False),
        ("", False),
        ("the picture itself\n", True),
        (pointer() + "and more\n", True),
        (pointer().replace("oid sha256", "oid md5"), True),
        (pointer().removesuffix("\n"), True),
        (pointer("g" * 64), True),
    ],
)
def test_a_new_file_in_lfs_must_be_a_pointer(content: str, asked: bool) -> None:
    assert findings(created(content), AT_ROOT) == (["art/logo.psd"] if asked else [])
    assert findings(created(content), {}) == []
    assert findings(created(content, "art/logo.png"), AT_ROOT) == []


def test_a_pointer_at_the_top_of_something_larger_is_none() -> None:
    assert findings(created(pointer(), size=1_000_000), AT_ROOT) == ["art/logo.psd"]


def change_of(file: FileChange, patch: str) -> ChangeSet:
    return ChangeSet(base_sha="b" * 40, tree_sha="c" * 40, files=(file,), patch=patch.encode())


def test_a_changed_pointer_stays_one_and_what_takes_its_place_is_told() -> None:
    head = "diff --git a/a.psd b/a.psd\nindex 1..2 100644\n--- a/a.psd\n+++ b/a.psd\n"
    file = FileChange(path="a.psd", op=FileOp.MODIFY, old_mode="100644", new_mode="100644", new_size=len(pointer()))
    version = "version https://git-lfs.github.com/spec/v1"
    edited = f"@@ -1,3 +1,3 @@\n {version}\n-oid sha256:{OID}\n+oid sha256:{'b' * 64}\n size 12345\n"
    assert findings(change_of(file, head + edited), AT_ROOT) == []
    replaced = f"@@ -1,3 +1 @@\n-{version}\n-oid sha256:{OID}\n-size 12345\n+pixels\n"
    assert findings(change_of(file.model_copy(update={"new_size": 7}), head + replaced), AT_ROOT) == ["a.psd"]
    binary = file.model_copy(update={"binary": True, "new_size": 10_000})
    assert findings(change_of(binary, "diff --git a/a.psd b/a.psd\nGIT binary patch\n"), AT_ROOT) == ["a.psd"]


def test_moving_and_deleting_pointers_passes_and_moving_a_file_into_lfs_does_not() -> None:
    def renamed(old: str, new: str) -> ChangeSet:
        patch = f"diff --git a/{old} b/{new}\nsimilarity index 100%\nrename from {old}\nrename to {new}\n"
        file = FileChange(path=new, op=FileOp.RENAME, old_path=old, old_mode="100644", new_mode="100644", new_size=130)
        return change_of(file, patch)

    assert findings(renamed("a.psd", "b/c.psd"), AT_ROOT) == []
    assert findings(renamed("a.bin", "c.psd"), AT_ROOT) == ["c.psd"]
    gone = FileChange(path="a.psd", op=FileOp.DELETE, old_mode="100644")
    assert findings(change_of(gone, ""), AT_ROOT) == []
    mode = FileChange(path="a.psd", op=FileOp.MODIFY, old_mode="100644", new_mode="100755", new_size=130)
    said = "diff --git a/a.psd b/a.psd\nold mode 100644\nnew mode 100755\n"
    assert findings(change_of(mode, said), AT_ROOT) == []
    assert findings(created("target", "link.psd", mode="120000"), AT_ROOT) == []


def test_taking_lfs_away_in_the_same_change_helps_nobody() -> None:
    big = created("pixels\n")
    attributes = FileChange(path=".gitattributes", op=FileOp.DELETE, old_mode="100644")
    both = big.model_copy(update={"files": (*big.files, attributes)})
    assert {".gitattributes", "art/.gitattributes"} <= set(paths_to_read(big))
    assert findings(both, AT_ROOT) == ["art/logo.psd"]


@pytest.mark.parametrize(
    ("attributes", "path", "lfs"),
    [
        ("*.psd filter=lfs", "deep/down/x.psd", True),
        ("*.psd filter=lfs", "x.psd.txt", False),
        ("/art/** filter=lfs -text", "art/a/b", True),
        ("art/** filter=lfs", "more/art/b", False),
        ("art/*.bin filter=lfs", "art/deep/x.bin", False),
        ("**/raw/*.bin filter=lfs", "a/b/raw/x.bin", True),
        ("*.[jJ][pP]g filter=lfs", "x.JPg", True),
        ("*.[!a]z filter=lfs", "x.az", False),
        ("*.psd filter=lfs\nkeep.psd -filter", "keep.psd", False),
        ("*.psd filter=lfs\nkeep.psd !filter", "keep.psd", False),
        ("*.psd filter=lfs\n*.psd text", "x.psd", True),
        ("*.psd filter=other", "x.psd", False),
        ("# *.psd filter=lfs", "x.psd", False),
        ('"with blank.psd" filter=lfs', "with blank.psd", True),
        ("[attr]big filter=lfs -text\n*.iso big", "x.iso", True),
        ("x\\?.psd filter=lfs", "x?.psd", True),
        ("[[ filter=lfs", "a", False),
    ],
)
def test_attributes_are_read_as_git_reads_them(attributes: str, path: str, lfs: bool) -> None:
    assert LfsPaths({".gitattributes": attributes.encode()}).holds(path) is lfs


def test_the_nearest_file_wins() -> None:
    attributes = LfsPaths(
        {".gitattributes": ATTRIBUTES, "art/.gitattributes": b"*.psd -filter\n/in/*.png filter=lfs\n"}
    )
    assert attributes.holds("x.psd")
    assert not attributes.holds("art/x.psd")
    assert attributes.holds("art/in/x.png")
    assert not attributes.holds("in/x.png")
    assert attribute_files("a/b/c") == ["a/b/.gitattributes", "a/.gitattributes", ".gitattributes"]

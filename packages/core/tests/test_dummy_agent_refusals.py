"""A diff that the agent without a model cannot use is refused with the reason, or skipped and named."""

import pytest
from dummy_bench import BASE, CHANGED, Bench, bench, entry, held, plain

from aicd_core.contracts import ReviewVerdict

__all__ = ["bench"]


async def test_an_issue_without_a_diff_is_told_what_to_hold(bench: Bench) -> None:
    error = await bench.plan_error(bench.task())
    assert error.code == "no_usable_diff"
    assert "```diff" in error.message


NEW = "--- /dev/null\n+++ b/{}\n@@ -0,0 +1 @@\n+x\n"
REFUSED: dict[str, tuple[str, str, str]] = {
    "another line": (
        plain("src/x.py", "@@ -1,2 +1,2 @@\n-one\n+1\n two\n@@ -5,3 +5,3 @@\n five\n-SIX\n+6\n seven\n"),
        "patch_does_not_apply",
        "hunk 2 of 'src/x.py' does not match: at line 6 the diff expects 'SIX', but the file holds 'six'",
    ),
    "a line far from where it is said to be": (
        plain("src/x.py", "@@ -2,3 +2,3 @@\n five\n-SIX\n+6\n seven\n"),
        "patch_does_not_apply",
        "hunk 1 of 'src/x.py' does not match: at line 6 the diff expects 'SIX', but the file holds 'six'",
    ),
    "a file that is too short": (
        plain("src/x.py", "@@ -6,3 +6,3 @@\n six\n seven\n-eight\n+8\n"),
        "patch_does_not_apply",
        "hunk 1 of 'src/x.py' does not match: at line 8 the diff expects 'eight', but the file has only 7 lines",
    ),
    "LF for CRLF": (
        plain("crlf.txt", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"),
        "patch_does_not_apply",
        (
            "hunk 1 of 'crlf.txt' does not match: at line 1 the diff expects 'a', but the file holds 'a\\r' "
            "(they differ in the line end: one is CRLF)"
        ),
    ),
    "white space": (
        plain("docs/README.md", "@@ -6,3 +6,3 @@\n \n ```sh\n-make\n+made\n"),
        "patch_does_not_apply",
        (
            "hunk 1 of 'docs/README.md' does not match: at line 7 the diff expects '```sh', but the file holds "
            "'   ```sh' (they differ in white space)"
        ),
    ),
    "the last newline": (
        plain("bare.txt", "@@ -1 +1 @@\n-no newline\n+x\n"),
        "patch_does_not_apply",
        (
            "hunk 1 of 'bare.txt' does not match: at line 1 the diff expects 'no newline', but the file holds "
            "'no newline' (they differ in the newline at the end of the file)"
        ),
    ),
    "a missing file": (
        plain("src/gone.py", "@@ -1 +1 @@\n-a\n+b\n"),
        "patch_does_not_apply",
        "it changes 'src/gone.py', but that file does not exist at the base commit",
    ),
    "an existing file": (
        NEW.format("src/x.py"),
        "patch_does_not_apply",
        "it creates 'src/x.py', but that exists already at the base commit",
    ),
    "a rename onto an existing file": (
        "diff --git a/run.sh b/empty\nsimilarity index 100%\nrename from run.sh\nrename to empty\n",
        "patch_does_not_apply",
        "it creates 'empty', but that exists already at the base commit",
    ),
    "another type of file": (
        "diff --git a/run.sh b/run.sh\nold mode 120000\nnew mode 100644\n",
        "patch_does_not_apply",
        "it changes 'run.sh' as a file of mode 120000, but that is of another type",
    ),
    "lines that no longer begin the file": (
        plain("src/x.py", "@@ -1,3 +1,3 @@\n two\n-three\n+3\n four\n"),
        "patch_does_not_apply",
        (
            "hunk 1 of 'src/x.py' does not match: the diff says that the file begins with these lines, but they "
            "begin at line 2"
        ),
    ),
    "lines that no longer end the file": (
        plain("src/x.py", "@@ -5,2 +5,3 @@\n five\n six\n+end\n"),
        "patch_does_not_apply",
        (
            "hunk 1 of 'src/x.py' does not match: the diff says that the file ends after line 6, but it goes on "
            "to line 7"
        ),
    ),
    "a new file that git is not told of": (
        "diff --git a/x b/x\nindex 1234567..1234568 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n",
        "patch_does_not_apply",
        "git says: ",
    ),
    "a parent folder": (NEW.format("../x"), "path_escapes", "it names '../x', which is outside"),
    "a hidden parent folder": (NEW.format("src/../../x"), "path_escapes", "it names 'src/../../x'"),
    "an absolute path": (NEW.format("/etc/x"), "path_escapes", "it names '/etc/x'"),
    "the git folder": (NEW.format(".git/hooks/x"), "path_escapes", "it names '.git/hooks/x'"),
    "the git folder in disguise": (NEW.format("src/.GIT/config"), "path_escapes", "it names 'src/.GIT/config'"),
    "a source outside": (
        "diff --git a/x b/y\nsimilarity index 100%\nrename from ../x\nrename to y\n",
        "path_escapes",
        "it names '../x'",
    ),
    "through a symlink": (NEW.format("out/x"), "path_escapes", "affected file 'out/x' is beyond a symbolic link"),
    "a symlink outwards": (
        (
            "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+../../etc\n"
            "\\ No newline at end of file\n"
        ),
        "path_escapes",
        "it lays the symbolic link 'l' to '../../etc'",
    ),
    "a binary file": (
        (
            "diff --git a/image.bin b/image.bin\nindex 1234567..1234568 100644\n"
            "Binary files a/image.bin and b/image.bin differ\n"
        ),
        "binary_patch",
        "it changes the binary file 'image.bin', and only changes of text are carried out",
    ),
    "a submodule": (
        (
            "diff --git a/sub b/sub\nnew file mode 160000\n--- /dev/null\n+++ b/sub\n@@ -0,0 +1 @@\n"
            "+Subproject commit 0123456789012345678901234567890123456789\n"
        ),
        "submodule_change",
        "it changes the submodule 'sub'",
    ),
    "a cut hunk": (
        plain("src/x.py", "@@ -1,2 +1,2 @@\n-one\n"),
        "malformed_patch",
        "its line 5 cannot be read: the text ends inside the hunk of line 3",
    ),
    "no change at all": ("nothing here\n", "no_usable_diff", "it holds no change of any file"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_diff_that_is_of_no_use_is_refused_with_the_reason(bench: Bench, name: str) -> None:
    diff, code, reason = REFUSED[name]
    bench.use(BASE | {"out": ("120000", b"/etc")})
    error = await bench.plan_error(bench.task(diff))
    assert error.message.startswith("Diff 1 of the issue cannot be used: ")
    assert reason in error.message
    assert error.code == code
    assert held(bench.workspace.folder) == {path: entry(value) for path, value in bench.workspace.base.items()}


async def test_when_no_diff_is_of_use_the_first_one_s_reason_leads_and_the_others_follow(bench: Bench) -> None:
    error = await bench.plan_error(bench.task(REFUSED["a binary file"][0], REFUSED["a missing file"][0]))
    assert error.code == "binary_patch"
    assert error.message.index("Diff 1 of the issue") < error.message.index("Diff 2 of the issue")


async def test_diffs_of_no_use_are_skipped_and_named(bench: Bench) -> None:
    good = bench.diff(CHANGED)
    task = bench.task(REFUSED["a missing file"][0], good)
    plan = await bench.plan(task)
    assert plan.assumptions == (
        (
            "Skipped: Diff 1 of the issue cannot be used: it changes 'src/gone.py', but that file does not exist at "
            "the base commit."
        ),
    )
    change = await bench.code(task, plan)
    assert change.summary == "Applied diff 2 of the issue (1 file)."
    review = await bench.review(task, plan, bench.evidence())
    assert review.verdict is ReviewVerdict.APPROVE


async def test_more_diffs_than_could_ever_be_tried_are_named_once(bench: Bench) -> None:
    good = bench.diff(CHANGED)
    plan = await bench.plan(bench.task(good, *[REFUSED["no change at all"][0]] * 30))
    assert len(plan.assumptions) == 20
    assert "only the first 20 diffs" in plan.assumptions[-1]

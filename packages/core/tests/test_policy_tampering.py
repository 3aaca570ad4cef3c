"""What tests assert, before and after: cases that the corpus cannot show."""

from textwrap import dedent

import pytest

from aicd_core.contracts import ChangeSet, FileChange, FileOp, PolicyFinding, TestReport
from aicd_core.policy import DEFAULT_RULES, evaluate, paths_to_read, plan_of
from aicd_core.policy.tampering.reading import read_module
from aicd_core.testing.policy_corpus import CorpusFile, Entry

NESTED = "".join(f"{' ' * n}if a:\n" for n in range(1, 400))


def judged(*files: tuple[str, str | None, str | None]) -> tuple[PolicyFinding, ...]:
    made = tuple(
        CorpusFile(path, path, *(None if text is None else dedent(text) for text in (old, new)))
        for path, old, new in files
    )
    return Entry("test", "A change", made).report.findings


def test_a_finding_says_where_in_the_new_file_and_shows_the_assertion():
    old = "def test_a():\n    x = f()\n    assert x == 1\n"
    (finding,) = judged(("tests/test_a.py", old, old.replace("x == 1", "x")))
    assert (finding.rule, finding.path, finding.line) == ("tests_weakened", "tests/test_a.py", 3)
    assert finding.message == "In 'test_a', an assertion pins down less than before. `x`"


def test_a_finding_never_repeats_a_credential_that_an_assertion_holds():
    key = "AKIA" + "Z7QX3N5V1K9RTB2M"
    old = f"def test_a():\n    assert f() == '{key}'\n    assert g() == 2\n"
    found = judged(("tests/test_a.py", old, "def test_a():\n    assert g() == 2\n"))
    assert [finding.rule for finding in found] == ["tests_weakened"]
    assert key not in found[0].model_dump_json()


def test_a_test_that_moves_to_another_file_is_not_gone():
    test = "def test_a():\n    assert f(1) == 2\n"
    assert judged(("tests/test_a.py", test, None), ("tests/test_b.py", None, test)) == ()


def test_a_test_that_moves_to_where_no_runner_looks_is_gone():
    test = "def test_a():\n    assert f(1) == 2\n"
    moved = "def test_b():\n    assert f(2) == 3\n"
    found = judged(("tests/test_a.py", f"{test}\n\n{moved}", test), ("tests/data.py", None, moved))
    assert [finding.message for finding in found] == [
        "The test 'test_b' is now 'test_b' in tests/data.py, which no runner collects."
    ]


def test_values_that_other_tests_had_all_along_do_not_make_up_for_a_deleted_test():
    kept = "def test_a():\n    assert f(1) == 2\n    assert g(1) == 2\n"
    gone = "\n\ndef test_b():\n    assert f(2) == 1\n"
    assert [f.rule for f in judged(("tests/test_a.py", kept + gone, kept))] == ["tests_deleted"]


def test_tests_of_a_function_that_is_removed_go_with_it():
    code = "def f(x):\n    return x\n\n\ndef g(x):\n    return x\n"
    tests = "def test_f():\n    assert f(1) == 1\n\n\ndef test_g():\n    assert g(1) == 1\n"
    files = (
        ("src/a.py", code, code.split("\n\n\n", maxsplit=1)[0] + "\n"),
        ("tests/test_a.py", tests, tests.split("\n\n\n", maxsplit=1)[0] + "\n"),
    )
    assert judged(*files) == ()


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tests/test_a.py", "def test_a():\n    assert " + "(" * 3_000 + "1" + ")" * 3_000 + "\n"),
        (
            "tests/test_a.py",
            "def test_a():\n" + "".join(f"{' ' * n}if a:\n" for n in range(1, 400)) + " " * 400 + "x\n",
        ),
        ("tests/test_a.py", "def test_a():\n    a" + ".b()" * 3_000 + "\n"),
        ("src/a.test.js", "it('a', () => { a" + ".b()" * 3_000 + " })\n"),
        ("src/a.test.ts", "describe('a', () => {" * 3_000),
        ("a/a_test.go", "package a\nfunc TestA(t *testing.T) {" + "if a {" * 3_000),
        ("tests/test_a.py", "\0\ufffd" * 1_000),
    ],
)
def test_a_source_made_to_stall_or_crash_the_reader_does_neither(path: str, source: str):
    assert read_module(path, source).path == path


def test_a_test_file_that_can_no_longer_be_walked_has_lost_its_tests():
    old = "def test_a():\n    assert f() == 1\n"
    nested = "def test_a():\n" + "".join(f"{' ' * n}if a:\n" for n in range(1, 800)) + " " * 800 + "assert f() == 1\n"
    assert "tests_deleted" in {finding.rule for finding in judged(("tests/test_a.py", old, nested))}


def test_only_test_files_manifests_settings_and_attributes_are_read_at_the_base():
    files = tuple(
        FileChange(path=path, op=op, old_path=old, binary=binary)
        for path, op, old, binary in [
            ("src/a.py", FileOp.MODIFY, None, False),
            ("tests/test_a.py", FileOp.MODIFY, None, False),
            ("tests/new_test.py", FileOp.CREATE, None, False),
            ("b.py", FileOp.RENAME, "tests/test_b.py", False),
            ("package.json", FileOp.MODIFY, None, False),
            (".flake8", FileOp.DELETE, None, False),
            ("tests/test_c.py", FileOp.MODIFY, None, True),
        ]
    )
    change = ChangeSet(base_sha="a" * 40, tree_sha="b" * 40, files=files, patch=b"")
    attributes = (".gitattributes", "src/.gitattributes", "tests/.gitattributes")
    assert set(paths_to_read(change)) == {".flake8", "package.json", "tests/test_a.py", "tests/test_b.py", *attributes}


def test_a_base_file_that_is_not_given_is_no_error():
    entry = Entry("test", "t", (CorpusFile("tests/test_a.py", "tests/test_a.py", "assert 1\n", "assert 2\n"),))
    file = entry.files[0]
    change = ChangeSet(base_sha="a" * 40, tree_sha="b" * 40, files=(file.change(),), patch=file.patch().encode())
    plan = plan_of(change.files, change.base_sha, "t")
    assert evaluate(change, plan, TestReport(), DEFAULT_RULES, {}).findings == ()

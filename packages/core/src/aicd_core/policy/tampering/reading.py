"""Which files hold tests, and how each is read."""

from aicd_core.policy.conventions import is_test_file
from aicd_core.policy.tampering.go import read_go
from aicd_core.policy.tampering.javascript import read_javascript
from aicd_core.policy.tampering.model import EMPTY, TestModule
from aicd_core.policy.tampering.other import read_other, reads
from aicd_core.policy.tampering.python import read_python

_SCRIPTS = frozenset({"js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts"})
_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs", "e2e", "testing"})


def is_read(path: str) -> bool:
    """True for a path whose content is looked at: a test file, or code in a folder of tests, that can be read."""
    ending = path.rsplit(".", 1)[-1]
    known = ending in _SCRIPTS | {"py", "go", "rs"} or reads(path)
    return known and (is_test_file(path) or _in_test_folder(path) or ending == "rs")


def is_collected(path: str) -> bool:
    """True when a runner collects tests from the path: by its name, or, as Mocha does, all scripts in a folder."""
    scripts = path.rsplit(".", 1)[-1] in _SCRIPTS and _in_test_folder(path)
    return is_test_file(path) or scripts or path.endswith(".rs")


def _in_test_folder(path: str) -> bool:
    return not _TEST_FOLDERS.isdisjoint(path.split("/")[:-1])


def read_module(path: str, source: str | None) -> TestModule:
    """One version of a file; what is nested too deep to be walked holds no tests, and so has lost those it had."""
    if source is None or not is_read(path):
        return EMPTY
    ending = path.rsplit(".", 1)[-1]
    try:
        if ending == "py":
            return read_python(path, source)
        if ending == "go":
            return read_go(path, source)
        return read_javascript(path, source) if ending in _SCRIPTS else read_other(path, source)
    except RecursionError:
        return TestModule(path)

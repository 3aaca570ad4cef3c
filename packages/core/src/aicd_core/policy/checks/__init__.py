"""The rules: each looks at one thing and says what it objects to."""

from collections.abc import Mapping
from types import MappingProxyType

from aicd_core.policy.case import Check
from aicd_core.policy.checks import credentials, dependencies, licences, paths, sizes, tests
from aicd_core.policy.checks.lfs import lfs_pointer
from aicd_core.policy.checks.loosened import checks_loosened

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "protected_path": paths.protected_path,
        "wrong_base": paths.wrong_base,
        "secret": credentials.secret,
        "possible_secret": credentials.possible_secret,
        "outside_plan": paths.outside_plan,
        "submodule": paths.submodule,
        "size": sizes.size,
        "binary": sizes.binary,
        "lfs_pointer": lfs_pointer,
        "dependency": dependencies.dependency,
        "dependency_source": dependencies.dependency_source,
        "licence": licences.licence,
        "tests_red": tests.tests_red,
        "tests_deleted": tests.tests_deleted,
        "tests_skipped": tests.tests_skipped,
        "tests_weakened": tests.tests_weakened,
        "checks_loosened": checks_loosened,
    }
)
"""Every built-in rule by its id, which is also its key in `.aicd.yml` and in `RuleVerdicts`."""

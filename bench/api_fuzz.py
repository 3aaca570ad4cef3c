"""A longer run of schemathesis on the API, with a random seed.

    .venv/bin/python bench/api_fuzz.py [--examples N] [--seed N]

Every operation of the OpenAPI document is sent made-up requests as each role, with all checks. The seed is printed
first: given again, it makes the same requests. Exits with 1 when a check failed, and says how to send that request
again.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from schemathesis.core.failures import FailureGroup

from aicd_backend.testing.fuzzing import fuzz, operations, running
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.databases import fresh_urls, migrated_server


def main() -> int:
    """Runs it; 1 when a check failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--examples", type=int, default=100, help="for each operation and role (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31), help="default: a random one")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    failed = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        migrated_server(Path(folder) / "postgres", durable=False) as url,
        fresh_urls(url) as urls,
        running(urls) as target,
    ):
        for operation in operations(target):
            for role in Role:
                try:
                    answered = fuzz(target, operation, role, examples=options.examples, start=options.seed)
                except FailureGroup as found:
                    failed += 1
                    print(f"FAILED {operation.label} as {role.value}", *found.exceptions, sep="\n")
                else:
                    told = ", ".join(f"{status}: {times}" for status, times in sorted(answered.items()))
                    print(f"{operation.label} as {role.value}: {told}", flush=True)
    print(f"{failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())

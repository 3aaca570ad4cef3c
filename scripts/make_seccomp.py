"""Writes docker/seccomp.json, the filter of the worker's container: `python scripts/make_seccomp.py [--check]`.

It refuses what the sandbox refuses to commands (`aicd_sandbox.seccomp`), but what bubblewrap needs to make a sandbox:
namespaces and mounts, which the kernel gives it inside of a user namespace only. With `--check` nothing is written, and
1 says that the file is not current.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aicd_sandbox.seccomp import Rule, rules

FILE = Path(__file__).parents[1] / "docker" / "seccomp.json"
NEEDED = frozenset({"mount", "umount2", "pivot_root", "clone", "unshare"})
"""By bubblewrap. Inside of the sandbox its own filter refuses them again."""


def entry(rule: Rule) -> dict[str, Any]:
    """One refusal as container engines read it (https://docs.docker.com/engine/security/seccomp/)."""
    made: dict[str, Any] = {"names": [rule.call], "action": "SCMP_ACT_ERRNO", "errnoRet": rule.error}
    if rule.argument is not None:
        compared = (
            {"value": rule.value, "op": "SCMP_CMP_GE"}
            if rule.mask is None
            else {"value": rule.mask, "valueTwo": rule.value, "op": "SCMP_CMP_MASKED_EQ"}
        )
        made["args"] = [{"index": rule.argument, **compared}]
    return made


def entries() -> Iterator[dict[str, Any]]:
    """Refusals without a comparison together, by error; the others one by one."""
    kept = [rule for rule in rules() if rule.call not in NEEDED]
    for error in sorted({rule.error for rule in kept}):
        names = [rule.call for rule in kept if rule.error == error and rule.argument is None]
        if names:
            yield {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error}
    yield from (entry(rule) for rule in kept if rule.argument is not None)


def written() -> str:
    """The file: no architectures, so calls of any but the machine's own end the process."""
    lines = ",\n".join(f"    {json.dumps(one)}" for one in entries())
    return f'{{\n  "defaultAction": "SCMP_ACT_ALLOW",\n  "syscalls": [\n{lines}\n  ]\n}}\n'


def main(arguments: list[str]) -> int:
    """Writes or checks the file; 1 when it is not current."""
    if "--check" not in arguments:
        FILE.write_text(written())
    elif not FILE.is_file() or FILE.read_text() != written():
        print(f"{FILE} is not current: python scripts/make_seccomp.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

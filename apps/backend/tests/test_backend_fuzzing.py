"""Schemathesis with all its checks on every operation of the document, as each role.

`bench/api_fuzz.py` is the longer run, with a random seed.
"""

from collections import Counter

import pytest

from aicd_backend.testing.fuzzing import fuzz, operations, running
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.databases import fresh_urls

EXAMPLES = {Role.OWNER: 8}
FEW = 2
"""For the other roles: what they may not is shown by the matrix of test_backend_access."""
LOGS_OUT = {"POST /v1/auth/logout", "DELETE /v1/me/sessions", "POST /v1/oauth/token"}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", Role)
def test_every_operation_answers_as_the_document_says(role: Role, postgres_url: str) -> None:
    answered: dict[str, Counter[int]] = {}
    with fresh_urls(postgres_url) as urls, running(urls) as target:
        for operation in operations(target):
            answered[operation.label] = fuzz(target, operation, role, examples=EXAMPLES.get(role, FEW), start=20)
    assert len(answered) > 50
    assert [label for label, statuses in answered.items() if statuses[401] and label not in LOGS_OUT] == []
    if role is Role.OWNER:
        reads = {
            label: statuses
            for label, statuses in answered.items()
            if label.startswith("GET /v1/organizations/{org}/jobs")
        }
        assert [label for label, statuses in reads.items() if not statuses[200]] == []

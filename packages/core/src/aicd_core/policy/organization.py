"""An organisation's policy as rules: read as it was published, published only when it can be read."""

from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aicd_core.contracts.config import HOST_PATTERN
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.errors import InvalidInputError
from aicd_core.policy.rules import DEFAULT_RULES, Rules
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.policies import service as policies
from aicd_core.tenancy.policies.values import PolicyView


def parse_rules(document: object, name: str) -> Rules:
    """Rules from JSON values, as `Rules.model_dump(mode="json")` gives them; what is left out has its default.

    Args:
        name: what the document is called in errors.

    Raises:
        InvalidInputError: code `bad_rules`; each fault with its key.
    """
    try:
        return Rules.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the whole'}: {_fault(e)}" for e in error.errors()[:5])
        raise InvalidInputError(f"{name} cannot be used as policy rules. {faults}.", code="bad_rules") from error


def _fault(details: ErrorDetails) -> str:
    if details.get("ctx", {}).get("pattern") == HOST_PATTERN:
        return "this must be a host's name in lower case, like pypi.org or *.example.com; no address, no port"
    return _FAULTS.get(details["type"], details["msg"])


_FAULTS: Mapping[str, str] = {
    "extra_forbidden": "there is no such key",
    "tuple_type": "this must be a list",
}
"""What pydantic says in words of Python, by its error type."""


async def organization_rules(session: ReadSession, tenant: Tenant) -> Rules:
    """The rules of the organisation's newest policy; the defaults when it has none.

    Raises:
        InvalidInputError: code `bad_rules`; what is stored cannot be read. No job goes on without its policy.
    """
    stored = await policies.newest(session, tenant)
    if stored is None:
        return DEFAULT_RULES
    return parse_rules(dict(stored.rules), f"Version {stored.version} of the organisation's policy")


async def publish_rules(
    session: WriteSession, tenant: Tenant, actor: Actor, rules: Rules, *, expected: int, note: str = ""
) -> PolicyView:
    """Makes the rules the organisation's policy, as its next version; see `tenancy.policies.service.publish`."""
    document = rules.model_dump(mode="json")
    return await policies.publish(session, tenant, actor, document, expected=expected, note=note)

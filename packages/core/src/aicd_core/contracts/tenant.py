"""On whose behalf a query runs."""

from dataclasses import dataclass

from aicd_core.ids import OrgId


@dataclass(frozen=True)
class Tenant:
    """The organization whose rows a repository function may see; every such function takes one."""

    org_id: OrgId

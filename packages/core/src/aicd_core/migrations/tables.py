"""Every module that declares tables; a model outside of these is in no migration."""

from aicd_core.db.base import Base
from aicd_core.deliveries import models as deliveries
from aicd_core.jobs import models as jobs
from aicd_core.journal import models as journal
from aicd_core.tenancy.accounts import models as accounts
from aicd_core.tenancy.api_keys import models as api_keys
from aicd_core.tenancy.audit import models as audit
from aicd_core.tenancy.idempotency import models as idempotency
from aicd_core.tenancy.installations import models as installations
from aicd_core.tenancy.invitations import models as invitations
from aicd_core.tenancy.memberships import models as memberships
from aicd_core.tenancy.organizations import models as organizations
from aicd_core.tenancy.policies import models as policies
from aicd_core.tenancy.repositories import models as repositories
from aicd_core.tenancy.secrets import models as secrets
from aicd_core.tenancy.standings import models as standings
from aicd_core.usage import models as usage
from aicd_core.usage.billing import models as billing

TABLES = (
    *(
        accounts,
        api_keys,
        audit,
        billing,
        deliveries,
        idempotency,
        installations,
        invitations,
        jobs,
        journal,
        memberships,
    ),
    *(organizations, policies, repositories, secrets, standings, usage),
)
METADATA = Base.metadata
"""The schema that all of these describe."""

"""Alembic's entry: one connection, one lock, so that two processes never migrate at once."""

import os

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from aicd_core.db.base import Base
from aicd_core.jobs import models as jobs_models
from aicd_core.tenancy import models as tenancy_models
from aicd_core.usage import models as usage_models

TABLES = (jobs_models, tenancy_models, usage_models)
LOCK = 0x61696364
"""Key of the advisory lock: the letters `aicd`."""
LOCK_TIMEOUT = "10s"
"""A migration that cannot get a table's lock gives up instead of holding up every query behind it."""


def migrate() -> None:
    """Runs the scripts in one transaction under the lock."""
    url = make_url(os.environ["AICD_DATABASE_URL"]).set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": LOCK_TIMEOUT})
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


migrate()

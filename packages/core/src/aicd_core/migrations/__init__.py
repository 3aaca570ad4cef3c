"""The schema's history (Alembic) and the way to bring a database up to it."""

from aicd_core.migrations.current import HEAD, ensure_current

__all__ = ["HEAD", "ensure_current"]

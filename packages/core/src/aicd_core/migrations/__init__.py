"""The schema's history (Alembic) and the way to bring a database up to it."""

from aicd_core.migrations.current import HEAD, is_current, migrate, require_current, revision_of

__all__ = ["HEAD", "is_current", "migrate", "require_current", "revision_of"]

"""Backups that restore: the database as of one moment and the files beside it, in an encrypted restic repository."""

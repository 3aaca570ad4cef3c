"""What the queue's schema looks like from here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class QueueSchema:
    """BullMQ's schema as it is in the database: the signature of `add_job`, and the last migration."""

    add_job: str
    version: int

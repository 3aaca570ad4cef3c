"""What can be wrong with a journal."""

from aicd_core.errors import AicdError, ErrorKind
from aicd_core.ids import JobId


class JournalDamagedError(AicdError):
    """A text of a call is not what it was when it was stored, or is gone."""

    kind = ErrorKind.FAILED
    default_code = "journal_damaged"

    def __init__(self, job_id: JobId, what: str) -> None:
        super().__init__(
            f"The journal of job {job_id} is damaged: the {what} is not what was stored. Restore the database from a "
            "backup; or cancel the job and start it anew, which pays for its calls again."
        )

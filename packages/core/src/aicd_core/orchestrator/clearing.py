"""Clearing away what a job left behind: its branch, unless a pull request stands on it, and its work tree."""

from aicd_core.contracts import CodeHost
from aicd_core.errors import AicdError, InvalidInputError, StepFailedError
from aicd_core.ids import JobId
from aicd_core.orchestrator.progress import Message, Observer

HOPELESS = (InvalidInputError, StepFailedError)
"""The repository is gone, or refuses: trying again would change nothing."""


async def clear_away(host: CodeHost, job_id: JobId, observe: Observer) -> None:
    """Removes the branch and the work tree of a job that has ended.

    The job has ended whatever comes of this: trouble is told and raises nothing. Where it may pass, the work tree stays
    as the mark by which a later tidying finds the job.
    """
    try:
        await host.withdraw(job_id)
    except HOPELESS as error:
        observe(Message(job_id, f"the branch aicd/{job_id}, if there is one, is left: {error}"))
    except AicdError as error:
        observe(Message(job_id, f"clearing away is left for later: {error}"))
        return
    await remove_tree(host, job_id, observe)


async def remove_tree(host: CodeHost, job_id: JobId, observe: Observer) -> None:
    """Removes the work tree of a job from this machine; trouble is told and raises nothing."""
    try:
        await host.close(job_id)
    except AicdError as error:
        observe(Message(job_id, f"the work tree is left for later: {error}"))

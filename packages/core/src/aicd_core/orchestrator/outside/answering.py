"""What the threads of a pull request are answered at the end of a round on them."""

from collections.abc import Callable, Iterable

from aicd_core.contracts import Change, CodeHost, OutsideFeedback, Thread, Unheard
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId
from aicd_core.orchestrator.quoting import quoted

GONE = "no_such_thread"
MOST = 2000


async def answer_all(
    host: CodeHost,
    job_id: JobId,
    threads: Iterable[Thread],
    unheard: Iterable[Unheard],
    words: Callable[[int], str],
) -> None:
    """Answers each thread once: those that were worked on with `words` (by its number), the others with the reason.

    Raises:
        AicdError: the host refuses, or does not answer; what was answered before stays.
    """
    answers = [(thread.id, thread.comments[-1].id, words(thread.id)) for thread in threads]
    answers += [
        (other.thread, other.comment, f"Nothing was done about this: {quoted(other.reason, MOST)}") for other in unheard
    ]
    for thread, comment, text in answers:
        try:
            await host.answer(job_id, thread, text, comment)
        except InvalidInputError as error:
            if error.code != GONE:  # else somebody took it back meanwhile
                raise


def done(change: Change, commit: str | None) -> Callable[[int], str]:
    """What is said of a round that was published; `commit` is None where it changed nothing."""
    told = {answer.thread: answer.text for answer in change.answers}

    def words(thread: int) -> str:
        text = quoted(told.get(thread) or change.summary, MOST)
        return f"{text}\n\nNothing was changed." if commit is None else f"{text}\n\nIn {commit}."

    return words


def given_up(reason: str) -> Callable[[int], str]:
    """What is said where the round came to nothing, or there is to be none."""
    return lambda _: f"Nothing was done about this: {quoted(reason, MOST)}\n\nA person has to go on."


async def give_up(host: CodeHost, job_id: JobId, outside: OutsideFeedback, reason: str) -> None:
    """Tells every thread of a round that it came to nothing."""
    await answer_all(host, job_id, outside.threads, outside.unheard, given_up(reason))

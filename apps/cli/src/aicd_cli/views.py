"""Showing a running job: a live view on a terminal, plain lines in a pipe."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from aicd_core.jobs.machine import AT_WORK, JobState
from aicd_core.orchestrator import CommandEnded, CommandStarted, Message, Progress, StateChanged
from aicd_core.text import one_line

LINE_MAX = 200
PATH = (JobState.QUEUED, JobState.PLANNING, JobState.CODING, JobState.REVIEWING, JobState.PR_OPEN)
"""The states shown as the way ahead."""


class View(Protocol):
    """Shows progress; a context for as long as the job runs."""

    def show(self, progress: Progress) -> None: ...

    def aside(self) -> AbstractContextManager[None]:
        """Steps aside while something else is on the screen."""
        ...


def describe(progress: Progress) -> str:
    """One line of plain text for anything that happened."""
    match progress:
        case StateChanged(state=state, round=number, reason=reason):
            where = state.value + (f" (round {number})" if number and state in AT_WORK else "")
            return where + (f": {one_line(reason, LINE_MAX)}" if reason else "")
        case CommandStarted(command=command):
            return f"  $ {one_line(command, LINE_MAX)}"
        case CommandEnded(outcome=outcome, duration=duration):
            return f"    {outcome} in {duration:.1f} s"
        case Message(text=text):
            return f"  {one_line(text, LINE_MAX)}"


class PlainView:
    """A line for each thing that happens, with the seconds since the start."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()

    def show(self, progress: Progress) -> None:
        elapsed = time.monotonic() - self._started
        with suppress(OSError):  # nobody may be reading any more, and the job goes on all the same
            self._stream.write(f"[{elapsed:7.2f}] {describe(progress)}\n")
            self._stream.flush()

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()


class LiveView:
    """The way through the states, the current command and the time, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(self, console=console, refresh_per_second=8, transient=True)
        self._started = time.monotonic()
        self._state = JobState.QUEUED
        self._round = 0
        self._doing = ""
        self._spinner = Spinner("dots")

    def show(self, progress: Progress) -> None:
        """Notes what happened; finished things scroll away above the live part."""
        match progress:
            case StateChanged(state=state, round=number):
                self._state, self._round, self._doing = state, number, ""
            case CommandStarted(command=command):
                self._doing = f"$ {one_line(command, LINE_MAX)}"
                return
            case CommandEnded(command=command, outcome=outcome, duration=duration):
                self._doing = ""
                self._print(f"  $ {one_line(command, LINE_MAX)}: {outcome} in {duration:.1f} s")
                return
            case Message():
                pass
        self._print(describe(progress))

    def start(self) -> None:
        """Begins to draw."""
        self._live.start()

    def stop(self) -> None:
        """Ends drawing; the terminal may be what went away."""
        with suppress(OSError):
            self._live.stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        self.stop()
        yield
        self.start()

    def __rich__(self) -> RenderableType:
        return Group(self._track(), self._now())

    def _print(self, line: str) -> None:
        with suppress(OSError):
            self._console.print(Text(line), highlight=False)

    def _track(self) -> Text:
        track = Text()
        for state in PATH if self._state in PATH else (*PATH[:-1], self._state):
            style = "bold reverse" if state is self._state else "dim"
            track.append(f" {state.value} ", style).append(" ")
        return track

    def _now(self) -> Table:
        row = Table.grid(padding=(0, 2))
        elapsed = time.monotonic() - self._started
        number = f"round {self._round}" if self._round else ""
        row.add_row(self._spinner, f"{elapsed:5.1f} s", number, Text(self._doing, overflow="ellipsis"))
        return row


@contextmanager
def open_view(stream: TextIO) -> Iterator[View]:
    """The view that fits the stream: live where somebody watches, lines where a program reads."""
    console = Console(file=stream)
    if not console.is_terminal:
        yield PlainView(stream)
        return
    view = LiveView(console)
    view.start()
    try:
        yield view
    finally:
        view.stop()

"""The container engine's program, and what it says of itself."""

import asyncio
import json
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aicd_sandbox.programs import unavailable

ENGINE_SECONDS = 30.0
COUNTED = {"memory", "pids"}


@dataclass(frozen=True)
class EngineFacts:
    """What the way to start a container depends on."""

    podman: bool
    """It is podman's own command line; podman behind Docker's speaks as Docker does."""
    rootless: bool
    counts: bool
    """Whether control groups hold memory and processes. Without them an engine only warns, and limits nothing."""


class Engine:
    """One engine; `name` is its program's, `podman` or `docker`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._facts: EngineFacts | None = None

    async def facts(self) -> EngineFacts:
        """Asked once, as the answer is the machine's.

        Raises:
            UnavailableError: `sandbox_unavailable`; the engine does not answer.
        """
        if self._facts is None:
            answer = await self.ask("info", "--format", "{{json .}}")
            try:
                self._facts = _podmans(json.loads(answer)) if self.name == "podman" else _dockers(json.loads(answer))
            except (ValueError, KeyError, TypeError) as error:
                raise unavailable(
                    f"`{self.name} info` said what this version of AI-CD cannot read ({error})."
                ) from error
        return self._facts

    def program(self) -> str:
        """The program's path.

        Raises:
            UnavailableError: `sandbox_unavailable`; it is not installed.
        """
        program = shutil.which(self.name)
        if program is None:
            raise unavailable(
                f"Commands run only in a sandbox, and AICD_SANDBOX={self.name} is not installed: install it, or "
                "unset AICD_SANDBOX to use bubblewrap."
            )
        return program

    async def ask(self, *words: str) -> str:
        """What the engine prints for these words.

        Raises:
            UnavailableError: `sandbox_unavailable`, with what it complained of.
        """
        process = await asyncio.create_subprocess_exec(
            self.program(), *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(ENGINE_SECONDS):
                answer, complaint = await process.communicate()
        except TimeoutError as error:
            raise unavailable(f"`{self.name} {words[0]}` did not answer within {ENGINE_SECONDS:.0f} s.") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            said = complaint.decode(errors="replace").strip()[-500:]
            raise unavailable(f"`{self.name} {words[0]}` failed ({said}).")
        return answer.decode(errors="replace").strip()


def _podmans(info: dict[str, Any]) -> EngineFacts:
    host = info["host"]
    counts = set(host["cgroupControllers"] or ()) >= COUNTED
    return EngineFacts(podman=True, rootless=bool(host["security"]["rootless"]), counts=counts)


def _dockers(info: dict[str, Any]) -> EngineFacts:
    rootless = any("name=rootless" in option for option in info["SecurityOptions"] or ())
    with suppress(OSError):  # podman's service up to 4.3 does not say so, but its files are not root's
        rootless = rootless or Path(info["DockerRootDir"]).stat().st_uid != 0
    return EngineFacts(podman=False, rootless=rootless, counts=bool(info["MemoryLimit"] and info["PidsLimit"]))

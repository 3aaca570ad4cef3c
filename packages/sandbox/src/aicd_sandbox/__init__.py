"""Running untrusted commands: one way out at most, a read-only system, limits, and one folder to write to."""

from aicd_sandbox.bubblewrap import BubblewrapSandbox
from aicd_sandbox.container import ContainerSandbox

__all__ = ["BubblewrapSandbox", "ContainerSandbox"]

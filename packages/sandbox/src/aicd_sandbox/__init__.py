"""Running untrusted commands: no network, a read-only system, limits, and one folder to write to."""

from aicd_sandbox.bubblewrap import BubblewrapSandbox
from aicd_sandbox.host import SANDBOX_GID, SANDBOX_UID

__all__ = ["SANDBOX_GID", "SANDBOX_UID", "BubblewrapSandbox"]

"""A whole tenant at once: everything it has out as JSON Lines, or erased for good."""

from aicd_core.portability.erase import Erasure, erase
from aicd_core.portability.export import FORMAT, WITHHELD, export_lines

__all__ = ["FORMAT", "WITHHELD", "Erasure", "erase", "export_lines"]

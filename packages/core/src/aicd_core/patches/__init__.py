"""Reading unified diffs, and finding them in issue texts. Pure: text in, values out."""

from aicd_core.patches.fences import extract_patches, extract_suggestions
from aicd_core.patches.model import AddedLine, FilePatch, Hunk, PatchError, PatchKind
from aicd_core.patches.parse import parse_patch, parse_with_strip

__all__ = [
    "AddedLine",
    "FilePatch",
    "Hunk",
    "PatchError",
    "PatchKind",
    "extract_patches",
    "extract_suggestions",
    "parse_patch",
    "parse_with_strip",
]

"""Whether there is a Qdrant server to be backed up: the entry point `qdrant` of `aicd.stores`."""

from importlib import import_module
from typing import TYPE_CHECKING

from aicd_brain.retrieval.settings import RetrievalSettings

if TYPE_CHECKING:
    from aicd_brain.retrieval.snapshots import QdrantStore


def open_store() -> "QdrantStore | None":
    """The server of the settings, if there is one. Qdrant's client takes a second to load: only then it is."""
    settings = RetrievalSettings.load()
    if not settings.qdrant_url:
        return None
    store: QdrantStore = import_module("aicd_brain.retrieval.snapshots").QdrantStore(settings)
    return store

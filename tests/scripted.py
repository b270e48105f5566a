"""Plays a camera that says what it is told to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from stillsift.config import Config, load
from stillsift.sources import FileIdentity, Item


class Script:
    """A camera that says what it is told to."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.name = "yard"
        self.up, self.queued, self.reconnects = True, 0, 0
        self._items = items

    def items(self) -> Iterator[Item]:
        yield from self._items

    def read_again(self, file: Path, identity: FileIdentity) -> None:
        """A camera has no files."""

    def stop(self) -> None:
        """A script ends by itself."""


def config(store: Path, min_free: int = 0) -> Config:
    base = load(None)
    settings = base.store.model_copy(update={"path": store, "min_free": min_free})
    return base.model_copy(update={"store": settings})

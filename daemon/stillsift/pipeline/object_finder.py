"""Finds the objects that sources ask for, with the detectors that the configuration names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from ..arrays import Image
from ..config import Config
from ..config.settings import DetectorSettings
from ..decisions import Box, Detection
from ..detection import Detector, DetectorSpec, detect_around, detectors, open_detector
from ..embedding import ModelError
from ..selection.targets import Targets


class Stages(Protocol):
    """Measures how long a stage takes."""

    def stage(self, name: str) -> AbstractContextManager[None]: ...


def labels_of(config: Config) -> list[str]:
    """Returns the labels that any source asks for; without sources, as for `sift`, the defaults."""
    asked = config.sources or (config.defaults,)
    return [label for each in asked for label in (*each.targets.labels, *each.anonymize)]


class ObjectFinder:
    """Opens each detector that is needed once, and asks it. May be used by several threads."""

    def __init__(self, settings: DetectorSettings, stages: Stages) -> None:
        self._settings = settings
        self._stages = stages
        self._own: Detector | None = None
        self._opened: dict[str, Detector] = {}
        self._by_label: dict[str, Detector] = {}

    def open(self, labels: Iterable[str]) -> None:
        """Opens what finds these labels. Raises ModelError with the way out."""
        wanted = [label for label in dict.fromkeys(labels) if label not in self._by_label]
        if not wanted:
            return
        if self._settings.path is not None and self._own is None:
            path, given = self._settings.path, self._settings
            kind = None if given.kind == "auto" else given.kind
            self._own = self._open(DetectorSpec(path.stem, path, given.labels, kind=kind))
        for label in wanted:
            self._by_label[label] = self._finding(label)

    def _finding(self, label: str) -> Detector:
        if self._own is not None and label in self._own.labels:
            return self._own
        known = detectors()
        for name, spec in known.items():
            if label in spec.known:
                if name not in self._opened:
                    self._opened[name] = self._open(spec)
                return self._opened[name]
        labels = {each for spec in known.values() for each in spec.known}
        labels |= set(() if self._own is None else self._own.labels)
        where = "" if self._own is None else f"{self._own.spec.path}: "
        raise ModelError(
            f"{where}no detector finds {label!r}, which the configuration asks for; the "
            f"labels are {', '.join(sorted(labels))}"
        )

    def _open(self, spec: DetectorSpec) -> Detector:
        return open_detector(spec, self._settings.provider, self._settings.threads)

    def __call__(
        self, picture: Image, parts: Sequence[Box], targets: Targets
    ) -> Sequence[Detection]:
        """Finds objects in a (height, width, 3) BGR picture, and closely in parts of it.

        Raises DetectError.
        """
        return self.find(picture, parts, targets.labels, targets.least)

    def find(
        self, picture: Image, parts: Sequence[Box], labels: Sequence[str], least: float
    ) -> list[Detection]:
        """Finds objects with these labels and this confidence. Raises DetectError."""
        found: list[Detection] = []
        for detector in dict.fromkeys(self._by_label[label] for label in labels):
            with self._stages.stage("detect"):
                found += detect_around(detector, picture, parts, least)
        return [each for each in found if each.label in labels]

"""Exports as Camtrap DP 1.0.2, the exchange format of camera traps: tables and datapackage.json.

See https://camtrap-dp.tdwg.org. A source is a deployment, a picture is a medium, an object that was
found is an observation.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from ..decisions import Detection, Reason
from ..escapes import escaped
from .folder import ExportError, ExportFolder
from .kept_frames import KeptFrame, second_text

LOCATIONS = "locations"
"""Setting of the folder: latitude and longitude of sources, by their names."""

_VERSION = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
_PACKAGE = "datapackage.json"
_NOT_NAMED = "not named"
_DEPLOYMENTS = (
    *("deploymentID", "locationID", "locationName", "latitude", "longitude"),
    *("coordinateUncertainty", "deploymentStart", "deploymentEnd", "setupBy", "cameraID"),
    *("cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt", "cameraHeading"),
    *("detectionDistance", "timestampIssues", "baitUse", "featureType", "habitat"),
    *("deploymentGroups", "deploymentTags", "deploymentComments"),
)
_MEDIA = (
    *("mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic"),
    *("fileName", "fileMediatype", "exifData", "favorite", "mediaComments"),
)
_OBSERVATIONS = (
    *("observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd"),
    *("observationLevel", "observationType", "cameraSetupType", "scientificName", "count"),
    *("lifeStage", "sex", "behavior", "individualID", "individualPositionRadius"),
    *("individualPositionAngle", "individualSpeed", "bboxX", "bboxY", "bboxWidth", "bboxHeight"),
    *("classificationMethod", "classifiedBy", "classificationTimestamp"),
    *("classificationProbability", "observationTags", "observationComments"),
)
"""Columns in the order of the standard."""

_TYPES = {
    "human": ("person", "face"),
    "vehicle": (
        *("vehicle", "car", "truck", "bus", "motorcycle", "bicycle", "train", "boat"),
        "airplane",
    ),
    "animal": (
        *("animal", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra"),
        "giraffe",
    ),
}
"""The types of observation that labels mean; all others are `unclassified`, with a tag."""
_TYPE_OF = {label: type for type, labels in _TYPES.items() for label in labels}

Cells = dict[str, str | int | float]


@dataclass(slots=True)
class _Span:
    """Holds the first and the last time of a deployment, in nanoseconds."""

    first_ns: int
    last_ns: int


class CamtrapDp:
    """Writes media/PICTURE, deployments.csv, media.csv, observations.csv and datapackage.json.

    What somebody has written into datapackage.json stays there.
    """

    part_name = None

    def __init__(self, folder: ExportFolder) -> None:
        self._folder = folder

    def write(
        self, frames: Sequence[KeptFrame], _split: str, _path: Path
    ) -> list[tuple[KeptFrame, object]]:
        placed = self._folder.placed(frames, lambda frame: f"media/{frame.name}")
        return [(frame, _entry(frame)) for frame in placed]

    def finish(self) -> None:
        spans = self._spans()
        places: dict[str, Sequence[float]] = self._folder.setting(LOCATIONS) or {}
        package = json.dumps(self._package(spans, places), indent=2, ensure_ascii=False)
        deployments = (_deployment(source, span, places) for source, span in spans.items())
        entries = self._folder.entries
        media = (entry["medium"] for _, entry in entries())
        seen = (each for _, entry in entries() for each in entry["observations"])
        self._folder.rewrite("deployments.csv", _csv(_DEPLOYMENTS, deployments))
        self._folder.rewrite("media.csv", _csv(_MEDIA, media))
        self._folder.rewrite("observations.csv", _csv(_OBSERVATIONS, seen))
        self._folder.rewrite(_PACKAGE, [f"{package}\n"], may_differ=True)
        self._note(spans, places)

    def _note(self, spans: Mapping[str, _Span], places: Mapping[str, Sequence[float]]) -> None:
        """Notes what the standard asks for and only a person knows."""
        lacking = [source for source in spans if source not in places]
        if lacking:
            self._folder.notes.append(
                f"Camtrap DP asks for latitude and longitude, and {', '.join(lacking)} has none: "
                f"--location '{lacking[0]}=52.70,23.85'"
            )
        if _NOT_NAMED in (self._folder.root / _PACKAGE).read_text("utf-8"):
            self._folder.notes.append(
                f"name the project and who made it in {_PACKAGE}: what you write there stays"
            )

    def _spans(self) -> dict[str, _Span]:
        spans: dict[str, _Span] = {}
        for _, entry in self._folder.entries():
            at_ns = entry["at_ns"]
            span = spans.setdefault(entry["source"], _Span(at_ns, at_ns))
            span.first_ns, span.last_ns = min(span.first_ns, at_ns), max(span.last_ns, at_ns)
        return dict(sorted(spans.items()))

    def _package(
        self, spans: Mapping[str, _Span], places: Mapping[str, Sequence[float]]
    ) -> dict[str, Any]:
        path = self._folder.root / _PACKAGE
        there: dict[str, Any] = {}
        if path.exists():
            try:
                there = dict(json.loads(path.read_bytes()))
            except ValueError as error:
                raise ExportError(
                    f"{path}: cannot be read, and is not overwritten: {error}; mend it, or move it "
                    "away"
                ) from error
        points = [[longitude, latitude] for latitude, longitude in places.values()]
        usual = {
            "name": "stillsift-export",
            "contributors": [{"title": _NOT_NAMED, "role": "contact"}],
            "project": {
                "title": _NOT_NAMED,
                "samplingDesign": "opportunistic",
                "captureMethod": ["activityDetection", "timeLapse"],
                "individualAnimals": False,
                "observationLevel": ["media"],
            },
            "spatial": {"type": "GeometryCollection", "geometries": []},
            "taxonomic": [],
        }
        ours = {
            "profile": f"{_VERSION}/camtrap-dp-profile.json",
            "created": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "resources": [_resource(name) for name in ("deployments", "media", "observations")],
            "temporal": {
                "start": second_text(min(span.first_ns for span in spans.values()))[:10],
                "end": second_text(max(span.last_ns for span in spans.values()))[:10],
            },
            **({"spatial": {"type": "MultiPoint", "coordinates": points}} if points else {}),
        }
        return {**usual, **there, **ours}


def _resource(name: str) -> dict[str, str]:
    return {
        "name": name,
        "path": f"{name}.csv",
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": f"{_VERSION}/{name}-table-schema.json",
    }


def _csv(columns: Sequence[str], rows: Iterator[Cells]) -> Iterator[str]:
    text = StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: escaped(v) if isinstance(v, str) else v for k, v in row.items()})
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _deployment(source: str, span: _Span, places: Mapping[str, Sequence[float]]) -> Cells:
    latitude, longitude = places.get(source, ("", ""))
    return {
        "deploymentID": source,
        "latitude": latitude,
        "longitude": longitude,
        "deploymentStart": second_text(span.first_ns),
        "deploymentEnd": second_text(span.last_ns),
    }


def _entry(frame: KeptFrame) -> dict[str, object]:
    suffix = frame.suffix
    medium: Cells = {
        "mediaID": frame.id,
        "deploymentID": frame.source,
        "captureMethod": "timeLapse" if frame.reason is Reason.HEARTBEAT else "activityDetection",
        "timestamp": frame.captured_at,
        "filePath": f"media/{frame.name}",
        "filePublic": "false",
        "fileName": frame.name,
        "fileMediatype": guess_type(f"a{suffix}")[0] or f"image/{suffix[1:]}",
    }
    return {
        "source": frame.source,
        "at_ns": frame.captured_at_ns,
        "medium": medium,
        "observations": list(_observations(frame)),
    }


def _observations(frame: KeptFrame) -> Iterator[Cells]:
    common: Cells = {
        "observationID": f"{frame.id}-0",
        "deploymentID": frame.source,
        "mediaID": frame.id,
        "eventStart": frame.captured_at,
        "eventEnd": frame.captured_at,
        "observationLevel": "media",
    }
    if frame.objects is None:
        yield {**common, "observationType": "unclassified"}
        return
    common |= {
        "classificationMethod": "machine",
        "classifiedBy": "stillsift",
        "classificationTimestamp": second_text(frame.decided_at_ns),
    }
    if not frame.objects:
        yield {**common, "observationType": "blank"}
    for place, each in enumerate(frame.objects):
        yield {**common, "observationID": f"{frame.id}-{place}", **_observed(each, frame)}


def _observed(found: Detection, frame: KeptFrame) -> Cells:
    left, top, right, bottom = found.box
    shares = {
        "bboxX": left / frame.width,
        "bboxY": top / frame.height,
        "bboxWidth": (right - left) / frame.width,
        "bboxHeight": (bottom - top) / frame.height,
    }
    return {
        "observationType": _TYPE_OF.get(found.label, "unclassified"),
        "count": 1,
        **{name: round(share, 6) for name, share in shares.items()},
        "classificationProbability": round(found.confidence, 4),
        "observationTags": f"label:{found.label}",
    }

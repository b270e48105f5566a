"""Implements `stillsift export`: writes kept frames as data sets for trainers and labellers."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from ..decisions import Outcome, Reason, outcome_of
from ..escapes import escaped, json_text
from ..export.camtrap_dp import LOCATIONS
from ..export.exporting import (
    FORMATS,
    WITH_SPLITS,
    WITH_VECTORS,
    Division,
    Exported,
    export,
)
from ..export.folder import ExportError, ExportFolder, check_apart
from ..export.kept_frames import KeptFrames, Wanted
from ..units import counted
from .arguments import (
    Commands,
    UsageError,
    add_command,
    add_json,
    add_source,
    add_span,
    add_store,
    check_pyarrow,
    known_source,
    opened_ledger,
    span_ns,
    store_path,
)
from .picture_sets import told_progress

_EXAMPLES = """\
  stillsift export --store sifted --format coco --output dataset
  stillsift export --store sifted --format yolo --output dataset --val 0.2 --label person
  stillsift export --format label-studio --output to-label --source gate --since 2026-03-01
  stillsift export --store traps --format camtrap-dp --output package --location gate=52.70,23.85
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "export", run, "Write kept frames as a data set, and add what is new.", _EXAMPLES
    )
    parser.add_argument("--format", choices=list(FORMATS), required=True)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        required=True,
        help="a new folder, or that of an earlier export, which gets what is new",
    )
    add_store(parser)
    add_source(parser)
    add_span(parser)
    kept = [each.value for each in Reason if outcome_of(each) is Outcome.KEPT]
    kept.remove(Reason.AUDIT.value)  # it was to be dropped, and lies apart
    parser.add_argument("--reason", choices=kept, help="only frames kept for this reason")
    parser.add_argument("--label", metavar="NAME", help="only frames that show this object")
    parser.add_argument(
        "--val",
        type=_share,
        metavar="SHARE",
        help="set this share apart for validation, as 0.1 (goes on in later exports)",
    )
    parser.add_argument(
        "--val-by",
        choices=["day", "source"],
        help="what is set apart as a whole (default: day, in UTC, of all sources)",
    )
    parser.add_argument(
        "--location",
        action="append",
        default=[],
        type=_location,
        metavar="SOURCE=LAT,LON",
        help="for camtrap-dp: where a source is, in degrees (remembered)",
    )
    add_json(parser)


def run(given: argparse.Namespace) -> int:
    """Exports what is new, and tells what was done; 1 where nothing was though something is new."""
    if given.format not in WITH_SPLITS and (given.val is not None or given.val_by is not None):
        raise UsageError(f"export: --val is for the formats {', '.join(WITH_SPLITS)}")
    if given.location and given.format != "camtrap-dp":
        raise UsageError("export: --location is for --format camtrap-dp")
    if given.format == "parquet":
        check_pyarrow("export")
    store = store_path(given)
    since_ns, until_ns = span_ns(given)
    with opened_ledger(given) as ledger:
        check_apart(given.output, store)
        wanted = Wanted(
            source=known_source(given, ledger),
            reason=None if given.reason is None else Reason(given.reason),
            since_ns=since_ns,
            until_ns=until_ns,
            label=given.label,
        )
        kept = KeptFrames(ledger, store, wanted, with_vectors=given.format in WITH_VECTORS)
        if next(kept.records(), None) is None:
            if given.label is not None and (labels := kept.labels()):
                raise ExportError(
                    f"{store}: no frame is kept that was asked for: none shows {given.label}; "
                    f"there is {', '.join(labels)}"
                )
            raise ExportError(
                f"{store}: no frame is kept that was asked for, so there is nothing to export; "
                "`stillsift stats` tells what is kept"
            )
        with ExportFolder(given.output, given.format) as folder:
            form = FORMATS[given.format](folder)
            if given.location:
                places = folder.setting(LOCATIONS) or {}
                folder.remember(LOCATIONS, {**places, **dict(given.location)})
            with told_progress("frames") as tell:
                done = export(kept, folder, form, Division(given.val, given.val_by), tell)
            _tell(given, done, folder)
    return 1 if folder.left_out.counts and not done.added else 0


def _tell(given: argparse.Namespace, done: Exported, folder: ExportFolder) -> None:
    splits = folder.splits() if given.format in WITH_SPLITS else {}
    labels = list(folder.classes())
    left_out = folder.left_out
    for line in _warnings(given, done, folder):
        print(escaped(f"stillsift: {line}"), file=sys.stderr)
    if given.json:
        told = {
            "format": given.format,
            "output": str(given.output),
            "added": done.added,
            "already": done.already,
            "left_out": dict(left_out.counts),
            "splits": splits,
            "labels": labels,
        }
        print(json_text(told, indent=2))
        return
    before = f", {done.already} were there" if done.already else ""
    print(escaped(f"{given.output}: {counted(done.added, 'frame')} added{before}"))
    if len(splits) > 1:
        print(", ".join(f"{split} {number}" for split, number in splits.items()))
    if labels:
        print(escaped(f"labels: {', '.join(labels)}"))


def _warnings(given: argparse.Namespace, done: Exported, folder: ExportFolder) -> Iterator[str]:
    left_out = folder.left_out
    yield from left_out.named
    if (number := left_out.counts.total()) > len(left_out.named):
        yield f"{counted(number, 'frame')} have no picture to export; the first are named above"
    if done.unusual:
        yield (
            f"{counted(done.unusual, 'picture')} of a kind that few trainers read, such as HEIC or "
            "RAW; `repair: {format: jpeg}` keeps the next ones as JPEG"
        )
    if done.without_objects and given.format not in ("imagefolder", "webdataset", "parquet"):
        yield (
            f"no detector has looked at {done.without_objects} of {done.added} frames added: they "
            "have no boxes; `require`, `inhibit` and `trigger` ask for objects"
        )
    if given.val and len(folder.splits()) < 2:
        yield (
            f"--val {given.val:g}: all frames are of one {given.val_by or 'day'}, so none are set "
            "apart"
        )
    yield from folder.notes


def _share(text: str) -> float:
    """Reads a share. Raises ValueError and ArgumentTypeError."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError("a share from 0 to below 1, as 0.1")
    return value


def _location(text: str) -> tuple[str, tuple[float, float]]:
    """Reads a source with its latitude and longitude. Raises ArgumentTypeError."""
    source, _, place = text.rpartition("=")
    try:
        latitude, longitude = (float(each) for each in place.split(","))
    except ValueError:
        latitude = longitude = math.nan
    if not (source and abs(latitude) <= 90 and abs(longitude) <= 180):
        raise argparse.ArgumentTypeError("a source, latitude and longitude, as gate=52.70,23.85")
    return source, (latitude, longitude)

"""Turns records into rows of the ledger's tables, and rows back into records.

SQLite cannot hold everything as it is: names that are not UTF-8 go in as bytes, and unsigned 64-bit
numbers as signed ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..decisions import Decision, Detection, Reason, Tag
from ..frames import TimeOrigin, bounded_ns
from ..health import AlarmKind
from ..sources import FileIdentity
from .records import (
    AlarmRecord,
    Checkpoint,
    Correction,
    CorrectionKind,
    DecisionRecord,
    FileRecord,
    FileState,
    KeptFile,
    KeptInWords,
    KeptRecord,
    Quarantined,
    Replaced,
    Retire,
)

_DECISION_FIELDS = tuple(f.name for f in fields(Decision))
_DECISION_COLUMNS = (
    *_DECISION_FIELDS,
    "outcome",
    "decided_at_ns",
    "lifetime_ns",
    "kept_path",
    "config",
    "model",
)
# This never replaces a committed decision to keep. A file whose device number changed with a reboot
# is offered again under the same id, and must not turn its own kept frame into a duplicate of
# itself.
PUT_DECISION = (
    f"INSERT INTO decisions ({', '.join(_DECISION_COLUMNS)}) "
    f"VALUES ({', '.join('?' * len(_DECISION_COLUMNS))}) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _DECISION_COLUMNS if name != "id")
    + " WHERE decisions.outcome != 'kept'"
)
CHANGE_DECISION = (
    "UPDATE decisions SET "
    + ", ".join(f"{name} = ?{place}" for place, name in enumerate(_DECISION_COLUMNS, 1))
    + f" WHERE id = ?{1 + _DECISION_COLUMNS.index('id')}"
)
SELECT_DECISION = (
    "SELECT d.seq, "
    + ", ".join(f"d.{name}" for name in _DECISION_FIELDS)
    + ", d.decided_at_ns, d.kept_path, c.hash, m.name, w.repairs"
)
ITS_CONTEXT = (
    " LEFT JOIN configs c ON c.key = d.config LEFT JOIN models m ON m.key = d.model"
    " LEFT JOIN kept w ON w.id = d.id"
)
KEPT_COLUMNS = tuple(f.name for f in fields(KeptFile))
SELECT_KEPT = "SELECT " + ", ".join(f"k.{name}" for name in KEPT_COLUMNS)
SELECT_KEPT_RECORD = (
    f"{SELECT_KEPT.removeprefix('SELECT ')}, k.listed, k.adopted, k.missing,"
    f" {SELECT_DECISION.removeprefix('SELECT ')}"
    f" FROM kept k JOIN decisions d ON d.id = k.id{ITS_CONTEXT}"
)
"""Columns and tables for `kept_record`, after SELECT."""
PUT_KEPT = (
    f"INSERT INTO kept ({', '.join(KEPT_COLUMNS)}, adopted) "
    f"VALUES ({', '.join('?' * len(KEPT_COLUMNS))}, ?)"
)
PUT_FILE = """
INSERT INTO files (source, device, inode, size, mtime_ns, file, content_hash, next_frame, state,
                   error, first_kept, retire, named, changed_at_ns)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, device, inode, size, mtime_ns) DO UPDATE SET
    file = excluded.file, content_hash = excluded.content_hash, next_frame = excluded.next_frame,
    state = excluded.state, error = excluded.error,
    first_kept = COALESCE(files.first_kept, excluded.first_kept), retire = excluded.retire,
    named = excluded.named, changed_at_ns = excluded.changed_at_ns
"""
SAME_FILE = "source = ? AND device = ? AND inode = ? AND size = ? AND mtime_ns = ?"


def _signed(number: int) -> int:
    """Returns a device or inode number (unsigned 64 bits) as one of SQLite's signed integers."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _unsigned(number: int) -> int:
    return number + (1 << 64) if number < 0 else number


def key_of(source: str, identity: FileIdentity) -> tuple[object, ...]:
    """Returns the values for `SAME_FILE`."""
    return (
        source,
        _signed(identity.device),
        _signed(identity.inode),
        identity.size,
        identity.mtime_ns,
    )


def path_in(path: Path | None) -> str | bytes | None:
    """Returns a path as text where its name is UTF-8, else as the bytes of its name."""
    if path is None:
        return None
    name = os.fspath(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name


def path_out(value: str | bytes | None) -> Path | None:
    """Returns the path that `path_in` turned into this value."""
    return None if value is None else Path(os.fsdecode(value))


def path_of(value: str | bytes) -> Path:
    """Returns the same of a value that is never null."""
    return Path(os.fsdecode(value))


def text_in(sentence: str | None) -> str | None:
    """Returns a sentence as valid Unicode, since it may quote a file name that is not UTF-8."""
    return None if sentence is None else sentence.encode(errors="backslashreplace").decode()


def _number(measure: float | None) -> float | None:
    # sqlite3 takes Python's float and NumPy's float64, but not float32.
    return None if measure is None else float(measure)


def _objects_in(found: Sequence[Detection] | None) -> str | None:
    """Returns objects as JSON, [[label, confidence, left, top, right, bottom], ...]."""
    if found is None:
        return None
    rows = [
        [each.label, round(float(each.confidence), 4), *(round(float(s), 1) for s in each.box)]
        for each in found
    ]
    return json.dumps(rows, separators=(",", ":"))


def _objects_out(text: str | None) -> tuple[Detection, ...] | None:
    """Returns the objects that `_objects_in` turned into this text."""
    if text is None:
        return None
    return tuple(Detection(row[0], row[1], (*row[2:],)) for row in json.loads(text))


def _tags_in(tags: Sequence[Tag] | None) -> str | None:
    """Returns tags as JSON, [[label, confidence], ...]."""
    if tags is None:
        return None
    rows = [[each.label, round(float(each.confidence), 4)] for each in tags]
    return json.dumps(rows, separators=(",", ":"))


def _tags_out(text: str | None) -> tuple[Tag, ...] | None:
    """Returns the tags that `_tags_in` turned into this text."""
    return None if text is None else tuple(Tag(*row) for row in json.loads(text))


def decision_row(
    decision: Decision,
    kept: KeptFile | None,
    now: int,
    lifetime: int,
    config: int | None,
    model: int | None,
) -> tuple[object, ...]:
    """Returns the values for `PUT_DECISION`; `config` and `model` are the keys of their rows."""
    return (
        decision.id,
        decision.source,
        decision.reason,
        bounded_ns(int(decision.captured_at_ns)),
        decision.captured_at_origin,
        int(decision.frame_index),
        path_in(decision.file),
        _number(decision.pts_s),
        _number(decision.sharpness),
        _number(decision.sharpness_limit),
        _number(decision.shadows),
        _number(decision.highlights),
        _number(decision.contrast),
        _number(decision.similarity),
        _number(decision.distance),
        _number(decision.novelty),
        _number(decision.novelty_limit),
        decision.nearest_kept,
        decision.content_hash,
        decision.width,
        decision.height,
        text_in(decision.detail),
        _objects_in(decision.detections),
        " ".join(decision.objects_shown_by) or None,
        _tags_in(decision.tags),
        decision.dropped_as,
        int(decision.frames),
        decision.outcome,
        now,
        lifetime,
        path_in(kept.path) if kept else None,
        config,
        model,
    )


def decision_record(row: Sequence[Any]) -> DecisionRecord:
    """Makes a decision record out of a row of `SELECT_DECISION`."""
    values = dict(zip(_DECISION_FIELDS, row[1:], strict=False))
    values["reason"] = Reason(values["reason"])
    values["captured_at_origin"] = TimeOrigin(values["captured_at_origin"])
    values["file"] = path_out(values["file"])
    values["detections"] = _objects_out(values["detections"])
    values["objects_shown_by"] = tuple((values["objects_shown_by"] or "").split())
    values["tags"] = _tags_out(values["tags"])
    if values["dropped_as"] is not None:
        values["dropped_as"] = Reason(values["dropped_as"])
    decided_at_ns, kept_path, *rest = row[len(_DECISION_FIELDS) + 1 :]
    return DecisionRecord(row[0], Decision(**values), decided_at_ns, path_out(kept_path), *rest)


def kept_row(kept: KeptFile, *, adopted: bool) -> tuple[object, ...]:
    """Returns the values for `PUT_KEPT`."""
    return (
        kept.id,
        kept.source,
        path_in(kept.path),
        kept.bytes,
        kept.sha256,
        kept.width,
        kept.height,
        bounded_ns(int(kept.captured_at_ns)),
        text_in(kept.repairs),
        adopted,
    )


def kept_file(row: Sequence[Any]) -> KeptFile:
    """Makes the record of a kept file out of a row of `SELECT_KEPT`."""
    return KeptFile(row[0], row[1], path_of(row[2]), *row[3:])


def kept_record(row: Sequence[Any]) -> KeptRecord:
    """Makes the record of a kept file and its decision out of a row of `SELECT_KEPT_RECORD`."""
    width = len(KEPT_COLUMNS)
    return KeptRecord(
        kept_file(row[:width]),
        decision_record(row[width + 3 :]),
        *(bool(flag) for flag in row[width : width + 3]),
    )


def kept_in_words(row: Sequence[Any]) -> KeptInWords:
    """Makes a record out of (id, source, path, sha256, file, tags, detections)."""
    id, source, path, sha256, file, tags, detections = row
    told = _tags_out(tags), _objects_out(detections)
    return KeptInWords(id, source, path_of(path), sha256, path_out(file), *told)


def file_row(
    checkpoint: Checkpoint, first_kept: dict[tuple[str, Path], str], now: int
) -> tuple[object, ...]:
    """Returns the values for `PUT_FILE`; `first_kept` is the first frame kept out of each file."""
    to_retire = checkpoint.state is FileState.DONE and checkpoint.retire is not Retire.LEAVE
    return (
        *key_of(checkpoint.source, checkpoint.identity),
        path_in(checkpoint.file),
        checkpoint.content_hash,
        checkpoint.next_frame,
        checkpoint.state,
        text_in(checkpoint.error),
        first_kept.get((checkpoint.source, checkpoint.file), checkpoint.shown_by),
        checkpoint.retire if to_retire else None,
        json.dumps(checkpoint.named),
        now,
    )


SELECT_FILE = (
    "SELECT source, file, device, inode, size, mtime_ns, content_hash, next_frame, state,"
    " error, first_kept, retire, named FROM files"
)


def file_record(row: Sequence[Any]) -> FileRecord:
    """Makes a file record out of a row of `SELECT_FILE`."""
    source, file, device, inode, size, mtime_ns, content_hash, next_frame, state, *rest = row
    error, first_kept, retire, named = rest
    return FileRecord(
        source,
        path_of(file),
        FileIdentity(_unsigned(device), _unsigned(inode), size, mtime_ns),
        content_hash,
        next_frame,
        FileState(state),
        error,
        first_kept,
        Retire(retire) if retire else Retire.LEAVE,
        # A row from before there were these names holds none but the first.
        tuple(json.loads(named)) if named else (() if first_kept is None else (first_kept,)),
    )


PUT_ALARM = (
    "INSERT INTO alarms (source, kind, from_ns, to_ns, detail) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (source, kind, from_ns) DO UPDATE SET"
    " to_ns = excluded.to_ns, detail = excluded.detail"
)
SELECT_ALARM = (
    "SELECT source, kind, from_ns, to_ns, detail FROM alarms"
    " WHERE ?1 IS NULL OR source = ?1 ORDER BY from_ns, source, key"
)
"""Alarms sorted by their start, of one source, or of all where the value is NULL."""

END_ALARMS = """
UPDATE alarms SET
    detail = detail || '; not over when the frames ended',
    to_ns = max(from_ns, COALESCE((
        SELECT captured_at_ns FROM decisions
        WHERE source = ?1 AND outcome IN ('kept', 'dropped')
            AND (reason != 'exact_duplicate'
                OR captured_at_origin IN ('filename', 'exif', 'sequence'))
        ORDER BY captured_at_ns DESC LIMIT 1
    ), from_ns))
WHERE source = ?1 AND to_ns IS NULL
"""
"""Ends the open alarms of one source at the last of its frames that is recorded."""


def alarm_row(alarm: AlarmRecord) -> tuple[object, ...]:
    """Returns the values for `PUT_ALARM`."""
    to_ns = None if alarm.to_ns is None else bounded_ns(alarm.to_ns)
    return (alarm.source, alarm.kind.value, bounded_ns(alarm.from_ns), to_ns, alarm.detail)


def alarm_record(row: Sequence[Any]) -> AlarmRecord:
    """Makes an alarm record out of a row of `SELECT_ALARM`."""
    source, kind, from_ns, to_ns, detail = row
    return AlarmRecord(source, AlarmKind(kind), from_ns, to_ns, detail)


SELECT_SOURCES = """
WITH RECURSIVE
decided (name) AS (
    SELECT min(source) FROM decisions UNION ALL
    SELECT (SELECT min(source) FROM decisions WHERE source > name) FROM decided
    WHERE name IS NOT NULL
),
filed (name) AS (
    SELECT min(source) FROM files UNION ALL
    SELECT (SELECT min(source) FROM files WHERE source > name) FROM filed WHERE name IS NOT NULL
)
SELECT name FROM decided WHERE name IS NOT NULL UNION
SELECT name FROM filed WHERE name IS NOT NULL UNION
SELECT source FROM gaps UNION SELECT source FROM alarms
ORDER BY 1
"""
"""Sources that have a decision, a file, a gap or an alarm. The large tables are read from one name
to the next by their index, because SQLite looks at every row for a UNION or DISTINCT (measured with
a million rows: 60 ms, against nearly none)."""


SELECT_QUARANTINED = (
    "SELECT key, source, original, path, size, sha256, at_ns, lifetime_ns FROM quarantine"
)

SELECT_LIFETIME = "SELECT lifetime_ns, boot, uptime_ns FROM lifetime"
PUT_LIFETIME = "UPDATE lifetime SET lifetime_ns = ?, boot = ?, uptime_ns = ?"


def quarantined(row: Sequence[Any]) -> Quarantined:
    """Makes a quarantine record out of a row of `SELECT_QUARANTINED`."""
    key, source, original, path, size, sha256, at_ns, lifetime_ns = row
    return Quarantined(
        key, source, path_of(original), path_of(path), size, sha256, at_ns, lifetime_ns
    )


_CORRECTION_COLUMNS = (
    *("id", "made_at", "decision_id", "kind", "other_decision_id", "undone_at", "was", "kept"),
    "moved_to",
)
SELECT_CORRECTION = f"SELECT {', '.join(f'c.{name}' for name in _CORRECTION_COLUMNS)}"


def kept_in_correction(kept: KeptFile | None) -> str | None:
    """Returns a kept file as JSON, for a row of the corrections."""
    if kept is None:
        return None
    values = {f.name: getattr(kept, f.name) for f in fields(KeptFile)}
    return json.dumps(values | {"path": os.fspath(kept.path)})


def correction(row: Sequence[Any]) -> Correction:
    """Makes the record of a correction out of a row of `SELECT_CORRECTION`."""
    id_, made_at, decision_id, kind, other, undone_at, was, kept, moved_to = row
    file = None
    if kept is not None:
        values = json.loads(kept)
        file = KeptFile(**(values | {"path": Path(values["path"])}))
    return Correction(
        id_,
        made_at,
        decision_id,
        CorrectionKind(kind),
        other,
        undone_at,
        None if was is None else Reason(was),
        file,
        path_out(moved_to),
    )


SELECT_REPLACED = SELECT_FILE.replace(
    "FROM files", ", path FROM files JOIN replaced ON original = key"
)


def replaced(row: Sequence[Any]) -> Replaced:
    """Makes the record of a replaced still out of a row of `SELECT_REPLACED`."""
    return Replaced(path_of(row[-1]), file_record(row[:-1]))

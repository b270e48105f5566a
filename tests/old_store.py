"""Stores as earlier versions of stillsift left them."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from pathlib import Path

from footage import write_still
from stillsift.frames import frame_id
from stillsift.ledger.schema import APPLICATION_ID, MIGRATIONS
from stillsift.sources import FileIdentity, origin_of

AT_NS = 1_772_366_400_000_000_000
"""2026-03-01T12:00:00Z."""


class OldStore:
    """A store as the stillsift of a schema version left it, with a row of every kind."""

    def __init__(self, root: Path, version: int) -> None:
        self.path = root / "store"
        self.version = version
        self.photo = write_still(root / "gate" / "x.jpg", 1)
        data = self.photo.read_bytes()
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.identity = FileIdentity.of(self.photo)
        self.id = frame_id("gate", origin_of(self.photo, self.identity), 0)
        self.kept = Path(f"kept/gate/2026/03/01/2026-03-01T12-00-00.000000Z_{self.id}.jpg")
        self.lying = Path("quarantine/gate/2026/03/01/0123_y.jpg")
        for place in (self.kept, self.lying):
            (self.path / place).parent.mkdir(parents=True)
            shutil.copy(self.photo, self.path / place)
        self._fill()

    def _fill(self) -> None:
        db = sqlite3.connect(self.path / "ledger.sqlite")
        for step in MIGRATIONS[: self.version]:
            db.executescript(step)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {self.version}")
        db.execute("INSERT INTO configs VALUES (1, 'c', 'rate: 5/s', 1)")
        db.execute("INSERT INTO models VALUES (1, 'm')")
        reasons = {"kept": "novel", "dropped": "blurry", "failed": "decode_error"}
        rows: list[tuple[object, ...]] = [
            (self.id, 0, "kept", "novel", str(self.photo), self.sha256, str(self.kept))
        ]
        for number, (outcome, reason) in enumerate(list(reasons.items())[1:], 1):
            rows.append((f"{number:024x}", number, outcome, reason, None, None, None))
        # Before counts were recorded, an overload had a row for each frame.
        rows += [(f"a{n:023x}", n, "lost", "overload", None, None, None) for n in range(10, 13)]
        db.executemany(
            "INSERT INTO decisions (id, source, captured_at_ns, captured_at_origin, frame_index,"
            " outcome, reason, file, content_hash, kept_path, decided_at_ns, config, model)"
            f" VALUES (?1, 'gate', {AT_NS} + ?2, 'exif', ?2, ?3, ?4, ?5, ?6, ?7, {AT_NS}, 1, 1)",
            rows,
        )
        db.execute(
            "INSERT INTO kept (id, source, path, bytes, sha256, width, height, captured_at_ns)"
            " VALUES (?, 'gate', ?, ?, ?, 320, 180, ?)",
            (self.id, str(self.kept), self.identity.size, self.sha256, AT_NS),
        )
        one = self.identity
        db.execute(
            "INSERT INTO files (source, device, inode, size, mtime_ns, file, content_hash,"
            " next_frame, state, first_kept, changed_at_ns)"
            " VALUES ('gate', ?, ?, ?, ?, ?, ?, 1, 'done', ?, 1)",
            (one.device, one.inode, one.size, one.mtime_ns, str(self.photo), self.sha256, self.id),
        )
        db.execute(
            "INSERT INTO quarantine (source, original, path, size, sha256, at_ns)"
            " VALUES ('gate', '/gone/y.jpg', ?, ?, ?, 1)",
            (str(self.lying), self.identity.size, self.sha256),
        )
        db.execute("INSERT INTO gaps (source, from_ns, to_ns, cause) VALUES ('gate', 1, 2, 'away')")
        db.execute("INSERT INTO source_state VALUES ('shed', x'00', 1)")
        if self.version >= 2:
            db.execute("INSERT INTO judgements VALUES ('abc', 1, 1)")
        if self.version >= 3:
            db.execute(
                "INSERT INTO alarms (source, kind, from_ns, detail)"
                " VALUES ('gate', 'frozen', 5, 'still')"
            )
        db.commit()
        db.close()

"""Defines the tables of the ledger and the steps that bring an older ledger up to date."""

from __future__ import annotations

APPLICATION_ID = 0x5374_5366
"""Mark in the file's header ("StSf") that tells a ledger from any other SQLite database."""

_FIRST = """
CREATE TABLE configs (
    key INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    yaml TEXT NOT NULL,
    first_seen_ns INTEGER NOT NULL
);
CREATE TABLE models (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    captured_at_ns INTEGER NOT NULL,
    captured_at_origin TEXT NOT NULL,
    frame_index INTEGER NOT NULL,
    file,
    pts_s REAL,
    sharpness REAL,
    sharpness_limit REAL,
    similarity REAL,
    novelty REAL,
    novelty_limit REAL,
    nearest_kept TEXT,
    content_hash TEXT,
    width INTEGER,
    height INTEGER,
    detail TEXT,
    decided_at_ns INTEGER NOT NULL,
    kept_path TEXT,
    config INTEGER REFERENCES configs (key),
    model INTEGER REFERENCES models (key)
);
CREATE INDEX decisions_by_reason ON decisions (source, reason);
CREATE INDEX decisions_by_time ON decisions (source, captured_at_ns);
CREATE INDEX decisions_by_content ON decisions (source, content_hash)
    WHERE content_hash IS NOT NULL AND reason != 'exact_duplicate'
      AND outcome IN ('kept', 'dropped');
CREATE TABLE kept (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    path TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    captured_at_ns INTEGER NOT NULL,
    listed INTEGER NOT NULL DEFAULT 0,
    adopted INTEGER NOT NULL DEFAULT 0,
    missing INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX kept_by_time ON kept (source, captured_at_ns);
CREATE INDEX kept_unlisted ON kept (path) WHERE listed = 0 AND missing = 0;
CREATE INDEX kept_adopted ON kept (id) WHERE adopted = 1;
CREATE TABLE folders (
    path TEXT PRIMARY KEY,
    mtime_ns INTEGER,
    stale INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX folders_stale ON folders (path) WHERE stale = 1;
CREATE TABLE superseded (
    path TEXT PRIMARY KEY
);
CREATE TABLE galleries (
    source TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    ids TEXT NOT NULL
);
CREATE TABLE gallery (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (source, id)
);
CREATE TABLE files (
    key INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    file NOT NULL,
    content_hash TEXT NOT NULL,
    next_frame INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    first_kept TEXT,
    retire TEXT,
    changed_at_ns INTEGER NOT NULL,
    UNIQUE (source, device, inode, size, mtime_ns)
);
CREATE INDEX files_by_content ON files (source, content_hash) WHERE state = 'done';
CREATE INDEX files_to_retire ON files (source) WHERE retire IS NOT NULL;
CREATE TABLE gaps (
    key INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    from_ns INTEGER NOT NULL,
    to_ns INTEGER NOT NULL,
    cause TEXT NOT NULL,
    UNIQUE (source, from_ns)
);
CREATE TABLE source_state (
    source TEXT PRIMARY KEY,
    state BLOB NOT NULL,
    changed_at_ns INTEGER NOT NULL
);
CREATE TABLE quarantine (
    key INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    original NOT NULL,
    path NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    at_ns INTEGER NOT NULL
);
CREATE INDEX quarantine_by_age ON quarantine (at_ns, size);
"""

_AUDIT = """
ALTER TABLE decisions ADD COLUMN dropped_as TEXT;
CREATE TABLE judgements (
    id TEXT PRIMARY KEY,
    wrong INTEGER NOT NULL,
    at_ns INTEGER NOT NULL
);
"""

_ALARMS = """
CREATE TABLE alarms (
    key INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    from_ns INTEGER NOT NULL,
    to_ns INTEGER,
    detail TEXT NOT NULL,
    UNIQUE (source, kind, from_ns)
);
"""

_NAMED = """
ALTER TABLE files ADD COLUMN named TEXT;
ALTER TABLE files DROP COLUMN attempts;
CREATE INDEX files_by_name ON files (source, file);
"""

_COUNTS_AND_LIFETIME = """
ALTER TABLE decisions ADD COLUMN frames INTEGER NOT NULL DEFAULT 1;
ALTER TABLE decisions ADD COLUMN lifetime_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN lifetime_ns INTEGER NOT NULL DEFAULT 0;
CREATE TABLE counts (
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    frames INTEGER NOT NULL,
    PRIMARY KEY (source, reason)
) WITHOUT ROWID;
INSERT INTO counts SELECT source, reason, count(*) FROM decisions GROUP BY source, reason;
CREATE TRIGGER decision_made AFTER INSERT ON decisions BEGIN
    INSERT INTO counts VALUES (new.source, new.reason, new.frames)
        ON CONFLICT (source, reason) DO UPDATE SET frames = frames + new.frames;
END;
CREATE TRIGGER decision_forgotten AFTER DELETE ON decisions BEGIN
    UPDATE counts SET frames = frames - old.frames
        WHERE source = old.source AND reason = old.reason;
END;
CREATE TRIGGER decision_changed AFTER UPDATE OF source, reason, frames ON decisions BEGIN
    UPDATE counts SET frames = frames - old.frames
        WHERE source = old.source AND reason = old.reason;
    INSERT INTO counts VALUES (new.source, new.reason, new.frames)
        ON CONFLICT (source, reason) DO UPDATE SET frames = frames + new.frames;
END;
CREATE INDEX decisions_by_age ON decisions (lifetime_ns) WHERE outcome IN ('dropped', 'lost');
DROP INDEX quarantine_by_age;
CREATE INDEX quarantine_sizes ON quarantine (size);
CREATE TABLE lifetime (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    lifetime_ns INTEGER NOT NULL,
    boot TEXT NOT NULL,
    uptime_ns INTEGER NOT NULL
);
INSERT INTO lifetime VALUES (1, 0, '', 0);
"""

_LEFT_ALONE = """
CREATE TABLE left_alone (
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    files INTEGER NOT NULL,
    PRIMARY KEY (source, kind)
) WITHOUT ROWID;
"""

_DISTANCE = """
ALTER TABLE decisions ADD COLUMN distance REAL;
"""

_SEQUENCES = """
CREATE TABLE sequences (
    source TEXT NOT NULL,
    folder NOT NULL,
    rate REAL,
    first INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,
    PRIMARY KEY (source, folder)
) WITHOUT ROWID;
"""

_ALBUM = """
CREATE TABLE album (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    model TEXT NOT NULL,
    id TEXT NOT NULL,
    vector BLOB NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (source, id)
);
"""

_REPLACED = """
CREATE TABLE sifting (
    source TEXT PRIMARY KEY,
    after INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE replaced (
    path TEXT PRIMARY KEY,
    original INTEGER NOT NULL REFERENCES files (key)
);
"""

_PLACES = """
CREATE TABLE places (
    place PRIMARY KEY NOT NULL,
    source TEXT NOT NULL UNIQUE
) WITHOUT ROWID;
"""

_EMBEDDINGS = """
CREATE TABLE embeddings (
    id TEXT PRIMARY KEY NOT NULL,
    model INTEGER NOT NULL REFERENCES models (key),
    vector BLOB NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER kept_no_longer AFTER DELETE ON kept BEGIN
    DELETE FROM embeddings WHERE id = old.id;
END;
CREATE TABLE choosing (
    source TEXT PRIMARY KEY NOT NULL,
    after INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE restored (
    file NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    PRIMARY KEY (file, size, mtime_ns)
) WITHOUT ROWID;
"""

_DETECTIONS = """
ALTER TABLE decisions ADD COLUMN detections TEXT;
"""

_OBJECTS_SHOWN_BY = """
ALTER TABLE decisions ADD COLUMN objects_shown_by TEXT;
"""

_REPAIRS = """
ALTER TABLE kept ADD COLUMN repairs TEXT;
CREATE TABLE repaired_copies (
    id TEXT PRIMARY KEY NOT NULL,
    path NOT NULL,
    sha256 TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE in_place_repairs (
    backup PRIMARY KEY NOT NULL,
    now NOT NULL,
    sha256 TEXT NOT NULL,
    repairs TEXT NOT NULL
) WITHOUT ROWID;
"""

_EXPOSURE = """
ALTER TABLE decisions ADD COLUMN shadows REAL;
ALTER TABLE decisions ADD COLUMN highlights REAL;
ALTER TABLE decisions ADD COLUMN contrast REAL;
"""

_TAGS = """
ALTER TABLE decisions ADD COLUMN tags TEXT;
"""

_SEARCH_VECTORS = """
CREATE TABLE search_vectors (
    id TEXT PRIMARY KEY NOT NULL,
    model TEXT NOT NULL,
    vector BLOB NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER kept_and_searched_no_longer AFTER DELETE ON kept BEGIN
    DELETE FROM search_vectors WHERE id = old.id;
END;
"""

_REVIEW = """
CREATE TABLE corrections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    made_at INTEGER NOT NULL,
    decision_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('keep', 'drop', 'same', 'different')),
    other_decision_id TEXT,
    undone_at INTEGER,
    was TEXT,
    kept TEXT,
    moved_to TEXT,
    model INTEGER REFERENCES models (key),
    vector BLOB
);
CREATE INDEX corrections_by_decision ON corrections (decision_id);
CREATE INDEX quarantine_by_bytes ON quarantine (source, sha256);
CREATE INDEX decisions_by_nearest ON decisions (nearest_kept)
    WHERE outcome = 'dropped' AND nearest_kept IS NOT NULL;
CREATE TABLE activity (
    source TEXT NOT NULL,
    slot INTEGER NOT NULL,
    reason TEXT NOT NULL,
    frames INTEGER NOT NULL,
    PRIMARY KEY (source, slot, reason)
) WITHOUT ROWID;
INSERT INTO activity SELECT source, captured_at_ns / 600000000000, reason, sum(frames)
    FROM decisions GROUP BY 1, 2, 3;
DROP TRIGGER decision_made;
DROP TRIGGER decision_forgotten;
DROP TRIGGER decision_changed;
CREATE TRIGGER decision_made AFTER INSERT ON decisions BEGIN
    INSERT INTO counts VALUES (new.source, new.reason, new.frames)
        ON CONFLICT (source, reason) DO UPDATE SET frames = frames + new.frames;
    INSERT INTO activity
        VALUES (new.source, new.captured_at_ns / 600000000000, new.reason, new.frames)
        ON CONFLICT (source, slot, reason) DO UPDATE SET frames = frames + new.frames;
END;
CREATE TRIGGER decision_forgotten AFTER DELETE ON decisions BEGIN
    UPDATE counts SET frames = frames - old.frames
        WHERE source = old.source AND reason = old.reason;
    UPDATE activity SET frames = frames - old.frames
        WHERE source = old.source AND slot = old.captured_at_ns / 600000000000
            AND reason = old.reason;
    DELETE FROM activity
        WHERE source = old.source AND slot = old.captured_at_ns / 600000000000
            AND reason = old.reason AND frames <= 0;
END;
CREATE TRIGGER decision_changed
AFTER UPDATE OF source, reason, frames, captured_at_ns ON decisions BEGIN
    UPDATE counts SET frames = frames - old.frames
        WHERE source = old.source AND reason = old.reason;
    INSERT INTO counts VALUES (new.source, new.reason, new.frames)
        ON CONFLICT (source, reason) DO UPDATE SET frames = frames + new.frames;
    UPDATE activity SET frames = frames - old.frames
        WHERE source = old.source AND slot = old.captured_at_ns / 600000000000
            AND reason = old.reason;
    DELETE FROM activity
        WHERE source = old.source AND slot = old.captured_at_ns / 600000000000
            AND reason = old.reason AND frames <= 0;
    INSERT INTO activity
        VALUES (new.source, new.captured_at_ns / 600000000000, new.reason, new.frames)
        ON CONFLICT (source, slot, reason) DO UPDATE SET frames = frames + new.frames;
END;
"""

_PAGES = """
ALTER TABLE album ADD COLUMN page BLOB;
"""

MIGRATIONS = (
    *(_FIRST, _AUDIT, _ALARMS, _NAMED, _COUNTS_AND_LIFETIME, _LEFT_ALONE),
    *(_DISTANCE, _SEQUENCES, _ALBUM, _REPLACED, _PLACES, _EMBEDDINGS, _DETECTIONS, _REPAIRS),
    *(_OBJECTS_SHOWN_BY, _EXPOSURE, _TAGS, _SEARCH_VECTORS, _REVIEW, _PAGES),
)
"""Steps in order: step n makes schema version n + 1 out of version n. Never edit a step that was
released; add a new one."""

"""What stillsift is stopped at: small scenarios, each from its begin to its end."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import yaml

import tiny_onnx
from footage import scene, taken, write_clip, write_still
from old_store import OldStore
from photographs import resized, textured
from running import decided
from stepped import Ran, Step, ended, forked, never, run, stillsift
from stillsift.decisions import Outcome
from stillsift.ledger import LedgerReader

_PAST_AGES_NS = 100 * 24 * 3600 * 10**9
"""Older than originals in quarantine and decisions about dropped frames may become."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scenario is played. What a frame is called depends on the path of its file, so that
    only runs at one place can be compared."""

    root: Path
    originals: Path
    camera: str
    """URL of the camera."""

    @property
    def folders(self) -> list[Path]:
        """All folders with something of it."""
        return [self.root, *([] if self.originals.is_relative_to(self.root) else [self.originals])]

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def log(self) -> Path:
        return self._beside(".log")

    def begin(self) -> None:
        """Empties it, and writes the configuration."""
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        self.root.mkdir(parents=True)
        self.originals.mkdir(parents=True)
        self.log.unlink(missing_ok=True)
        write_config(self._beside(".yaml"))

    def save(self) -> None:
        """Makes what is there now the begin of every run."""
        shutil.rmtree(self._beside(".begin"), ignore_errors=True)
        for number, folder in enumerate(self.folders):
            shutil.copytree(folder, self._beside(".begin") / str(number))

    def reset(self) -> None:
        """Brings back what was saved."""
        for number, folder in enumerate(self.folders):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self._beside(".begin") / str(number), folder)
        self.log.unlink(missing_ok=True)

    def leave_behind(self, target: Path) -> None:
        """Copies all of it to `target`, for people."""
        shutil.rmtree(target, ignore_errors=True)
        for number, folder in enumerate(self.folders):
            shutil.copytree(folder, target / str(number))
        shutil.copy(self.log, target / "log")

    def run(self, words: Words, kill_at: Callable[[int, Step], bool] = never) -> Ran:
        """Runs it step by step."""
        return run(stillsift(*words(self)), self.folders, self.log, kill_at)

    def finish(self, words: Words) -> int:
        """Runs it to its end; returns the exit status."""
        return ended(forked(stillsift(*words(self)), self.log))

    def must(self, words: Words) -> None:
        """Runs it to its end, which must be a good one."""
        assert self.finish(words) == 0, self.log.read_text()

    def sift(self, what: object, *options: object) -> tuple[object, ...]:
        return ("sift", what, "-o", self.store, "-c", self._beside(".yaml"), *options)

    def _beside(self, suffix: str) -> Path:
        return self.root.with_name(f"{self.root.name}{suffix}")


Words = Callable[[Place], tuple[object, ...]]
"""Gives the command."""


def write_config(path: Path, **sections: object) -> None:
    """A configuration with the smallest embedder, written beside it; `sections` are more keys."""
    model = path.with_suffix(".onnx")
    tiny_onnx.float_nchw_with_grid(model)
    own = {"size": "48x32", "channels": "bgr", "embedding": "vector", "grid": "map"}
    config = {
        "store": {"min_free": 0},
        "model": {"path": str(model), "custom": {**own, "cell_limit": 0.02}},
        "defaults": {"rate": "all"},
        **sections,
    }
    path.write_text(yaml.safe_dump(config))


@dataclass(frozen=True)
class Scenario:
    """Something stillsift does, from its begin to its end."""

    prepare: Callable[[Place], None]
    words: Words
    shows: Callable[[Place], bool]
    """Whether the undisturbed run did what the scenario is there for."""
    apart: bool = False
    """Whether the originals lie on another file system than the store."""
    destroys: bool = False
    """Whether originals end."""
    live: bool = False
    """Whether it is a camera, whose frames no second run can see."""


def keep(place: Place) -> tuple[object, ...]:
    return place.sift(place.originals)


def audit(place: Place) -> tuple[object, ...]:
    return place.sift(place.originals, "--set", "audit=1")


def move(place: Place) -> tuple[object, ...]:
    return place.sift(place.originals, "--set", "retire=move")


def delete(place: Place) -> tuple[object, ...]:
    return place.sift(place.originals, "--set", "retire=delete")


def bring_back(place: Place) -> tuple[object, ...]:
    return ("restore", "--all", "--store", place.store)


def listen(place: Place) -> tuple[object, ...]:
    return place.sift(place.camera, "--set", "rate=5/s", "--duration", "3s")


def first_still(place: Place) -> None:
    write_still(place.originals / "1.jpg", 1)


def with_history(words: Words) -> Callable[[Place], None]:
    """A store that knows one still already."""

    def prepare(place: Place) -> None:
        first_still(place)
        place.must(words)

    return prepare


def stills(place: Place) -> None:
    """A new one, a repeat of it, a copy of that, one that is broken."""
    with_history(audit)(place)
    some_stills(place)


def some_stills(place: Place) -> None:
    write_still(place.originals / "2.jpg", 2)
    cv2.imwrite(str(place.originals / "3.jpg"), scene(2), [cv2.IMWRITE_JPEG_QUALITY, 90])
    shutil.copy(place.originals / "3.jpg", place.originals / "4.jpg")
    (place.originals / "5.jpg").write_bytes((place.originals / "2.jpg").read_bytes()[:300])
    for number in (3, 4, 5):
        taken(place.originals / f"{number}.jpg", number)


def clips(place: Place) -> None:
    with_history(keep)(place)
    write_clip(place.originals / "2.mp4", [2, 3], frames=3, number=2)
    write_clip(place.originals / "3.mp4", [4], frames=3, number=3)


def to_retire(words: Words) -> Callable[[Place], None]:
    def prepare(place: Place) -> None:
        with_history(words)(place)
        some_stills(place)
        write_clip(place.originals / "6.mp4", [6], frames=2, number=6)

    return prepare


def in_quarantine(place: Place) -> None:
    to_retire(move)(place)
    place.must(move)


def grown_old(place: Place) -> None:
    """A store whose quarantine and dropped frames are past their time, and one still more."""
    in_quarantine(place)
    with closing(sqlite3.connect(place.store / "ledger.sqlite")) as db:
        db.execute("UPDATE lifetime SET lifetime_ns = lifetime_ns + ?", (_PAST_AGES_NS,))
        db.commit()
    write_still(place.originals / "7.jpg", 7)


def earlier_schema(place: Place) -> None:
    old = OldStore(place.root, 1)
    assert old.photo.parent == place.originals
    shutil.copy(old.photo, place.originals / "copy.jpg")
    write_still(place.originals / "z.jpg", 3)


def cut_off(prepare: Callable[[Place], None], words: Words, after: str) -> Callable[[Place], None]:
    """What a run leaves that was killed after it had done a step twice; the restart is killed then.

    The mark of what was read is taken away. A file at whose same frame the process ends twice is
    left alone, as it should be; killed at every step, it would end there twice.
    """

    def cut(place: Place) -> None:
        prepare(place)
        seen: list[Step] = []

        def kill_at(_number: int, step: Step) -> bool:
            past = len(seen) == 2
            if re.search(after, str(step)):
                seen.append(step)
            return past

        assert place.run(words, kill_at).killed, f"never twice: {after}"
        shutil.rmtree(place.store / "reading")

    return cut


def sizes(place: Place) -> None:
    """A picture in three sizes, the smallest first and the largest last, with others between, a
    repeat of the smallest and a copy of it."""
    with_history(keep)(place)
    picture = textured(1, 800, 600)
    pictures = {
        "2": resized(picture, 0.3),
        "3": textured(2),
        "4": resized(picture, 0.28),
        "6": resized(picture, 0.6),
        "7": textured(3),
        "8": picture,
    }
    for name, pixels in pictures.items():
        cv2.imwrite(str(place.originals / f"{name}.jpg"), pixels)
    shutil.copy(place.originals / "2.jpg", place.originals / "5.jpg")
    for number in range(2, 9):
        taken(place.originals / f"{number}.jpg", number)


def in_a_group(words: Words) -> Words:
    """The same, with a record of each kept frame at once, as in a group."""
    return lambda place: (*words(place), "--set", "group=house")


def kept_names(place: Place) -> list[str]:
    records = (record.decision for record in decided(place.store))
    return sorted(one.file.name for one in records if one.file and one.outcome is Outcome.KEPT)


def reasons(place: Place) -> set[str]:
    return {record.decision.reason.value for record in decided(place.store)}


def lying(place: Place) -> int:
    return sum(path.is_file() for path in (place.store / "quarantine").rglob("*"))


def left(place: Place) -> list[str]:
    return sorted(path.name for path in place.originals.iterdir())


def retired(place: Place) -> bool:
    return left(place) == ["5.jpg"]  # the broken one


def moved(place: Place) -> bool:
    return retired(place) and lying(place) == 3


def came_back(place: Place) -> bool:
    return lying(place) == 0 and left(place) == ["3.jpg", "4.jpg", "5.jpg", "6.mp4"]


def gaps(place: Place) -> int:
    with LedgerReader(place.store / "ledger.sqlite") as ledger:
        return len(ledger.gaps())


SCENARIOS = {
    "start": Scenario(first_still, keep, lambda place: reasons(place) == {"novel"}),
    "stills": Scenario(
        stills,
        audit,
        lambda place: reasons(place) >= {"novel", "audit", "exact_duplicate", "decode_error"},
    ),
    "clips": Scenario(clips, keep, lambda place: reasons(place) == {"novel", "near_duplicate"}),
    "camera": Scenario(with_history(keep), listen, lambda place: gaps(place) == 1, live=True),
    "quarantine": Scenario(to_retire(move), move, moved),
    "quarantine elsewhere": Scenario(to_retire(move), move, moved, apart=True),
    "delete": Scenario(to_retire(delete), delete, retired, destroys=True),
    "restore": Scenario(in_quarantine, bring_back, came_back),
    "restore elsewhere": Scenario(in_quarantine, bring_back, came_back, apart=True),
    "pruning": Scenario(
        grown_old,
        move,
        lambda place: lying(place) == 0 and reasons(place) == {"novel", "decode_error"},
        destroys=True,
    ),
    "replacement": Scenario(
        sizes,
        in_a_group(keep),
        lambda place: (
            kept_names(place) == ["1.jpg", "3.jpg", "7.jpg", "8.jpg"] and lying(place) == 0
        ),
    ),
    "replacement, moved": Scenario(
        sizes,
        in_a_group(move),
        lambda place: (
            kept_names(place) == ["1.jpg", "3.jpg", "7.jpg", "8.jpg"] and lying(place) == 4
        ),
    ),
    "migration": Scenario(earlier_schema, keep, lambda place: len(decided(place.store)) == 8),
    "restart, unrecorded frames": Scenario(
        cut_off(clips, keep, r"renameat2 .*kept/\.placing"),
        keep,
        lambda place: "novel" in reasons(place),
    ),
    "restart, half retired": Scenario(
        cut_off(to_retire(move), move, r"renameat2 .*quarantine/"), move, moved
    ),
}

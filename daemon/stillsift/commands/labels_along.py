"""Moves the labels of stills along while `stillsift repair` turns these or makes them smaller.

Labels go first, each file once, then the stills. After a run that was cut off between the two, the
next one finds in the folder of originals which labels have moved, and changes their stills alone.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..labels import Labels, label_folders, labels_of
from ..labels.turning import Move, NotMoved, moved, odd_annotations
from ..sources.files.header import Header
from ..sources.files.opening import opened_folder
from ..store.in_place_repair import NotRepaired, read_still
from ..store.repair import Fault, Repaired, size_within
from .in_place_originals import Originals, files_below

DrawnOn = Literal["stored", "upright"]

_MOVING = frozenset({Fault.ORIENTATION, Fault.SIZE})
_NAMING = frozenset({Fault.SUFFIX, Fault.FORMAT})
"""Faults after whose repair a still has another name."""
_MOVED = "moved along with"
"""Begins what is recorded of label files."""

Moves = list[tuple[Labels, Move]]


@dataclass(slots=True)
class LabelsAlong:
    """Knows what labels pictures have; they are read once, when a picture is first asked for."""

    roots: Sequence[Path]
    backup: Path | None
    drawn_on: DrawnOn | None
    """What labels were drawn on that do not say it; None: nobody has said so."""
    originals: Originals | None = None
    """None: nothing is repaired."""
    _read: dict[Path, bytes] = field(default_factory=dict)
    _odd: dict[Path, tuple[Any, Mapping[str, str]]] = field(default_factory=dict)
    _planned: defaultdict[Path, dict[Path, Moves]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """Of each label file, the pictures with which it is moved."""
    _was: dict[Path, tuple[bytes, bytes]] = field(default_factory=dict)
    """Bytes of each label file before and after it was moved."""
    _moved_images: dict[Path, set[int]] = field(default_factory=dict)
    """Images of COCO files that a run that was cut off has moved, by position."""
    _refused: dict[Path, str] = field(default_factory=dict)
    _labels: dict[Path, list[Labels]] | None = None

    def _of(self, path: Path) -> list[Labels]:
        if self._labels is None:
            roots = [each if each.is_dir() else each.parent for each in self.roots]
            folders = [*roots, *(each for root in roots for each in label_folders(root))]
            self._labels = labels_of(folders, files_below(folders, self.backup))
        return self._labels.get(path, [])

    def has_labels(self, path: Path) -> bool:
        """Tells whether a picture has labels."""
        return bool(self._of(path))

    def names(self, path: Path) -> list[str]:
        """Returns the label files that were moved along with a picture."""
        files = {each.file for each in self._of(path)}
        return sorted(str(file) for file in files if path in self._planned.get(file, ()))

    def hinder(
        self, path: Path, header: Header, faults: AbstractSet[Fault], longest: int | None
    ) -> str | None:
        """Returns why a still is not repaired: labels would not fit it then. None: they would."""
        for each in self._of(path) if faults & (_MOVING | _NAMING) else ():
            if faults & _NAMING and each.image is not None:
                return f"{each.file.name} names it; change that first"
        try:
            for labels, move in self._moves(path, header, faults, longest):
                if labels.file in self._refused:
                    return self._refused[labels.file]
                if path not in self._planned.get(labels.file, ()):
                    self._try(labels, move)
        except NotMoved as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)
        return None

    def _moves(
        self, path: Path, header: Header, faults: AbstractSet[Fault], longest: int | None
    ) -> Moves:
        """Returns how the labels of a still move. Raises NotMoved and OSError."""
        stored, upright = header.size, header.upright_size
        found: Moves = []
        for each in self._of(path) if faults & _MOVING else ():
            if self._is_empty(each):
                continue
            if each.shares and Fault.ORIENTATION not in faults:
                continue
            if path in self._planned.get(each.file, ()):
                found += [one for one in self._planned[each.file][path] if one[0] is each]
                continue
            if self._is_moved(each):
                continue
            if stored is None or upright is None:
                raise NotMoved(f"its size is not known, which boxes in {each.file.name} need")
            drawn = stored
            if header.orientation != 1:
                drawn_on = self._drawn_on(each, stored, upright)
                drawn = stored if drawn_on == "stored" else upright
            elif each.size not in (None, stored):
                raise NotMoved(_other_size(each))
            turned = Fault.ORIENTATION in faults
            orientation = header.orientation if turned else 1
            if header.orientation != 1 and drawn_on == "upright":
                orientation = 1
            across = drawn[::-1] if orientation >= 5 else drawn
            made = across if longest is None else size_within(across, longest)
            move = Move(orientation, drawn, made)
            if orientation != 1 or (made != drawn and not each.shares):
                found.append((each, move))
        return found

    def _is_empty(self, labels: Labels) -> bool:
        """Tells whether nothing in labels depends on how the picture lies, or on its size."""
        if labels.boxes or labels.unboxed or labels.size is not None:
            return False
        # What could not be read would not fit either.
        data = self._bytes(labels.file)
        return b"<object" not in data if not labels.shares else not data.strip()

    def _drawn_on(
        self, labels: Labels, stored: tuple[int, int], upright: tuple[int, int]
    ) -> DrawnOn:
        if labels.size is not None and stored != upright:
            if labels.size not in (stored, upright):
                raise NotMoved(_other_size(labels))
            return "stored" if labels.size == stored else "upright"
        if labels.size not in (None, stored):
            raise NotMoved(_other_size(labels))
        if self.drawn_on is None:
            raise NotMoved(
                f"boxes in {labels.file.name} may have been drawn on it as it is stored or as it is"
                " looked at; say which with --drawn-on stored, and they are turned along, or "
                "--drawn-on upright, and they stay"
            )
        return self.drawn_on

    def _try(self, labels: Labels, move: Move) -> None:
        """Raises NotMoved where labels cannot be moved, and OSError."""
        file = labels.file
        if file.suffix.lower() != ".json":
            moved(self._bytes(file), file, [(labels, move)])
            return
        if file not in self._odd:
            told = json.loads(self._bytes(file))
            self._odd[file] = told, odd_annotations(told)
        told, odd = self._odd[file]
        if (why := odd.get(json.dumps(told["images"][labels.number].get("id")))) is not None:
            raise NotMoved(f"{file.name}: {why}; move it away first")

    def _bytes(self, file: Path) -> bytes:
        if file.suffix.lower() != ".json":
            return file.read_bytes()
        if file not in self._read:
            self._read[file] = file.read_bytes()
        return self._read[file]

    def _is_moved(self, labels: Labels) -> bool:
        """Tells whether a run that was cut off has moved labels, and not their picture."""
        file, is_coco = labels.file, labels.file.suffix.lower() == ".json"
        if self.originals is None:
            return False
        if not is_coco:
            return self._before(file) is not None
        if file not in self._moved_images:
            before, now = self._before(file), self._bytes(file)
            self._moved_images[file] = set() if before is None else _changed(before, now)
        return labels.number in self._moved_images[file]

    def _before(self, file: Path) -> bytes | None:
        """Returns a label file as it was before a run that was cut off; None: it was not."""
        assert self.originals is not None
        return self.originals.before(file, hashlib.sha256(self._bytes(file)).hexdigest(), _MOVED)

    # -- what is done ------------------------------------------------------------------------------

    def plan(
        self, path: Path, header: Header, faults: AbstractSet[Fault], longest: int | None
    ) -> None:
        """Plans to move the labels of a still, which nothing hinders."""
        by_file: defaultdict[Path, Moves] = defaultdict(list)
        for one in self._moves(path, header, faults, longest):
            by_file[one[0].file].append(one)
        for file, moves in by_file.items():
            self._planned[file][path] = moves

    def move(self) -> None:
        """Moves the labels that were planned; where that fails, their stills stay as they are."""
        for file in list(self._planned):
            before = self._bytes(file)
            why = self._write(file, before, self._planned[file], _MOVED)
            if why is not None:
                self._refused[file] = f"{file.name} is not moved along: {why}"

    def move_back(self, failed: AbstractSet[Path]) -> dict[Path, str]:
        """Moves the labels of stills back that were not repaired.

        Returns why that failed, by the label file.
        """
        wrong = {}
        for file, (before, after) in self._was.items():
            left = {path: its for path, its in self._planned[file].items() if path not in failed}
            if len(left) == len(self._planned[file]):
                continue
            why = self._write(file, before, left, "moved back, but for", after)
            if why is not None:
                wrong[file] = why
        return wrong

    def _write(
        self,
        file: Path,
        before: bytes,
        pictures: Mapping[Path, Moves],
        what: str,
        now: bytes | None = None,
    ) -> str | None:
        """Writes labels moved with some pictures; returns why that failed. `now`: what is there."""
        assert self.originals is not None
        moves = [one for its in pictures.values() for one in its]
        done = f"{what} {', '.join(path.name for path in list(pictures)[:3]) or 'none'}"
        done += f" and {len(pictures) - 3} more" if len(pictures) > 3 else ""
        try:
            data = moved(before, file, moves) if moves else before
            with opened_folder(file.parent) as folder:
                still = read_still(file, folder)
                with still.file:
                    if still.data != (before if now is None else now):
                        return "it changed after it was read"
                    new = Repaired(data, file.suffix.lower(), 0, 0, done)
                    ended = self.originals.put_right(still, lambda: new)
        except (NotMoved, NotRepaired) as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)
        if isinstance(ended, str):
            return ended
        self._was[file] = before, data
        return None


def _other_size(labels: Labels) -> str:
    assert labels.size is not None
    width, height = labels.size
    return f"{labels.file.name} says it is {width}x{height}, which it is not; correct that first"


def _changed(before: bytes, now: bytes) -> set[int]:
    """Returns the images of which a COCO file says something else than before, by position."""
    entries = []
    for data in (before, now):
        told = json.loads(data)
        by_image = defaultdict(list)
        for one in told["annotations"]:
            by_image[json.dumps(one.get("image_id"))].append(one)
        images = told["images"]
        entries.append([(image, by_image[json.dumps(image.get("id"))]) for image in images])
    pairs = enumerate(zip(*entries, strict=True))
    return {number for number, (old, new) in pairs if old != new}

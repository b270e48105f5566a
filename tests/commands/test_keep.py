"""`sift --keep N`: of all that is new, the most different are kept, and the rest is told."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from test_better_copies import write
from test_in_place import CUT_OFF, contents, listed

from conftest import Command
from footage import write_clip
from photographs import resized, textured
from stillsift.decisions import Outcome, Reason
from stillsift.ledger import LedgerReader
from stillsift.ledger.records import DecisionRecord


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six pictures, and a smaller copy of each."""
    (tmp_path / "photos").mkdir()
    for number in range(6):
        folder = tmp_path / "photos" / f"{number % 2}"
        picture = textured(number, 800, 600)
        write(folder, f"{number}", picture)
        write(folder, f"{number} small", resized(picture, 0.5))
    return tmp_path / "photos"


def records(store: Path) -> list[DecisionRecord]:
    """All decisions; the files of the ledger name kept frames only."""
    with LedgerReader(store) as ledger:
        found = list(ledger.decisions())
        kept = {each.decision.id for each in found if each.decision.outcome is Outcome.KEPT}
        for source in ledger.sources():
            for file in ledger.files(source):
                assert {*file.named} <= kept, file
                assert file.first_kept is None or file.first_kept in kept, file
        return found


def kept(store: Path) -> list[Path]:
    return sorted((store / "kept").rglob("*.jpg"))


def is_told_truly(found: Sequence[DecisionRecord]) -> None:
    """Everything that is named is kept, and what names nothing names it for a reason."""
    by_id = {each.decision.id: each.decision for each in found}
    for decision in by_id.values():
        named = decision.nearest_kept
        if named is not None:
            assert by_id[named].outcome is Outcome.KEPT, decision
        elif decision.outcome is Outcome.DROPPED:
            assert decision.reason is not Reason.BUDGET, decision


def test_the_most_different_are_kept_and_the_rest_is_told(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    done = stillsift("sift", photos, "--output", store, "--keep", 2)
    assert done.status == 0, done
    assert "Chosen        the 2 most different of 6 that show news" in done.out
    found = records(store / "ledger.sqlite")
    is_told_truly(found)
    names = {each.decision.id: each.decision for each in found}
    reasons = [each.decision.reason for each in found]
    assert reasons.count(Reason.NOVEL) == 2
    assert reasons.count(Reason.NEAR_DUPLICATE) == 2
    assert reasons.count(Reason.BUDGET) == 8
    assert "near_duplicate 2 · budget 8" in done.out
    assert len(kept(store)) == 2
    assert stillsift("stats", "--store", store, "--json").status == 0
    (listing,) = (store / "kept").rglob("metadata.jsonl")
    lines = [json.loads(line) for line in listing.read_text().splitlines()]
    assert {line["file_name"] for line in lines} == {path.name for path in kept(store)}
    for decision in names.values():
        if decision.reason is Reason.BUDGET:
            assert decision.file is not None
            own = not decision.file.stem.endswith("small")
            assert decision.detail is not None
            assert "none of the 2 most different" in decision.detail
            assert (decision.similarity is not None) is own
            assert decision.distance is decision.novelty is None


def test_the_first_run_decides_what_a_second_one_may_choose(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    stillsift("sift", photos / "0", "--output", store)
    first = kept(store)
    assert len(first) == 3
    done = stillsift("sift", photos / "0", photos / "1", "--output", store, "--keep", 4)
    assert done.status == 0
    assert set(first) < set(kept(store))
    assert len(kept(store)) == 4
    done = stillsift("sift", photos / "0", photos / "1", "--output", store, "--keep", 2)
    assert "Chosen        4 frames: more than 2, since an earlier run has kept them" in done.out
    assert len(kept(store)) == 4
    is_told_truly(records(store / "ledger.sqlite"))


def test_what_is_not_chosen_is_not_compared_with(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    stillsift("sift", photos, "--output", store, "--keep", 2)
    gone = {
        each.decision.file
        for each in records(store / "ledger.sqlite")
        if each.decision.reason is Reason.BUDGET
    }
    path = next(path for path in gone if path is not None and "small" not in path.name)
    picture = textured(int(path.stem), 800, 600)
    write(photos, "later", resized(picture, 0.8))
    assert stillsift("sift", photos, "--output", store).status == 0
    found = {each.decision.file: each.decision for each in records(store / "ledger.sqlite")}
    assert found[photos / "later.jpg"].reason is Reason.NOVEL


def test_an_exact_copy_goes_with_what_is_let_go(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    for path in sorted((photos / "0").glob("?.jpg")):
        shutil.copy2(path, photos / "1" / f"copy of {path.name}")
    store = tmp_path / "store"
    assert stillsift("sift", photos, "--output", store, "--keep", 2).status == 0
    found = records(store / "ledger.sqlite")
    is_told_truly(found)
    by_name = {each.decision.file.name: each.decision for each in found if each.decision.file}
    for name in ("0.jpg", "2.jpg", "4.jpg"):
        first, copy = by_name[name], by_name[f"copy of {name}"]
        assert (copy.reason is Reason.BUDGET) is (first.reason is Reason.BUDGET)
        assert copy.reason in (Reason.BUDGET, Reason.EXACT_DUPLICATE)


def test_frames_of_an_older_ledger_stay_and_count(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    clip, store = write_clip(tmp_path / "door.mp4", [1, 2, 3, 4]), tmp_path / "store"
    stillsift("sift", clip, "--output", store)
    before = kept(store)
    with closing(sqlite3.connect(store / "ledger.sqlite")) as db, db:
        db.execute("DELETE FROM embeddings")
    done = stillsift("sift", clip, photos, "--output", store, "--keep", 1)
    assert done.status == 0, done
    assert "more than 1, since an earlier run has kept them" in done.out
    assert set(kept(store)) == set(before), "their vectors are made anew, and they are enough"
    is_told_truly(records(store / "ledger.sqlite"))


def test_what_is_gone_counts_no_more(stillsift: Command, photos: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    stillsift("sift", photos, "--remove-to", gone)
    left = sorted(photos.rglob("*.jpg"))
    assert len(left) == 6
    for path in left[:2]:
        path.unlink()
    for number in range(6, 8):
        write(photos, f"{number}", textured(number, 800, 600))
    done = stillsift("sift", photos, "--remove-to", gone, "--keep", 6)
    assert done.status == 0, done
    assert len(list(photos.rglob("*.jpg"))) == 6


def test_nothing_is_chosen_before_all_is_decided(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    """A folder that cannot be read ends its source; the same command goes on."""
    store, other = tmp_path / "store", tmp_path / "store2"
    stillsift("sift", photos / "0", photos / "1", "--output", other, "--keep", 2)
    hidden = photos / "hidden"
    (photos / "1").rename(hidden)
    (photos / "1").mkdir()
    done = stillsift("sift", photos / "0", photos / "1", "--output", store, "--keep", 2)
    assert done.status == 1
    assert len(kept(store)) <= 3
    (photos / "1").rmdir()
    hidden.rename(photos / "1")
    assert stillsift("sift", photos / "0", photos / "1", "--output", store, "--keep", 2).status == 0
    assert len(kept(store)) == 2
    is_told_truly(records(store / "ledger.sqlite"))


@pytest.mark.parametrize("other", ["sift", "keep"])
def test_what_an_unfinished_choice_has_kept_stays_for_any_other_command(
    stillsift: Command, photos: Path, tmp_path: Path, other: str
) -> None:
    store = tmp_path / "store"
    done = subprocess.run(
        [*CUT_OFF, "choose", "1", photos / "0", "--output", store, "--keep", "3"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done
    first = kept(store)
    words = ("--keep", 1) if other == "keep" else ()
    assert stillsift("sift", photos / "1", "--output", store, *words).status == 0
    assert stillsift("sift", photos / "0", "--output", store, "--keep", 1).status == 0
    assert set(first) <= set(kept(store))
    is_told_truly(records(store / "ledger.sqlite"))


def test_in_place_a_clip_takes_no_place_of_a_photograph(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    write_clip(photos / "door.mp4", [11, 12, 13])
    done = stillsift("sift", photos, "--remove-to", tmp_path / "gone", "--keep", 3)
    assert done.status == 0, done
    assert len(list(photos.rglob("*.jpg"))) == 3
    assert (photos / "door.mp4").exists()


def test_in_place_what_another_run_has_kept_stays(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    stillsift("sift", photos, "--remove-to", gone)
    before = contents(photos)
    done = stillsift("sift", photos / "1", "--remove-to", gone, "--keep", 1)
    assert done.status == 0, done
    assert contents(photos) == before


def test_in_place_what_is_not_chosen_goes_and_comes_back(
    stillsift: Command, photos: Path, tmp_path: Path
) -> None:
    before, gone = contents(photos), tmp_path / "gone"
    dry = stillsift("sift", photos, "--dry-run", "--list", "--keep", 2)
    done = stillsift("sift", photos, "--remove-to", gone, "--keep", 2)
    assert done.status == 0, done
    assert len(contents(photos)) == 2
    rows = listed(gone)
    assert len(rows) == 10
    assert {Path(line.split("\t")[0]).name for line in dry.out.splitlines()} == set(rows)
    for row in rows.values():
        assert (row["shown_by"] != "") is (row["reason"] == "near_duplicate")
        if row["shown_by"]:
            assert Path(row["shown_by"]).exists()
    assert stillsift("restore", "--store", gone, "--all").status == 0
    assert contents(photos) == before


def test_of_a_clip_the_chosen_frames_become_files(stillsift: Command, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in" / "door.mp4", [1, 2, 3, 4])
    assert stillsift("sift", clip.parent, "--copy-to", tmp_path / "copies", "--keep", 2).status == 0
    assert len(contents(tmp_path / "copies")) == 2
    done = stillsift("sift", clip, "--output", tmp_path / "store", "--keep", 2, "--json")
    assert len(kept(tmp_path / "store")) == 2
    told = json.loads(done.out)
    assert told["chosen"] == 2
    assert told["of"] >= 4
    assert told["sources"][0]["kept"] == 2
    assert sum(told["sources"][0]["reasons"].values()) == told["sources"][0]["frames"]
    size = sum(path.stat().st_size for path in kept(tmp_path / "store"))
    assert told["sources"][0]["kept_bytes"] == size
    is_told_truly(records(tmp_path / "store" / "ledger.sqlite"))


def test_what_cannot_be_is_refused(stillsift: Command, photos: Path) -> None:
    for words in (("--keep", 0), ("--keep", "some")):
        done = stillsift("sift", photos, "--dry-run", *words)
        assert done.status == 2
        assert "--keep" in done.err
    done = stillsift("sift", "rtsp://127.0.0.1:1/x", "--dry-run", "--keep", 5)
    assert done.status == 2
    assert "max_per_hour" in done.err


@pytest.mark.parametrize("how", ["--output", "--remove-to", "--copy-to"])
def test_killed_while_choosing(stillsift: Command, photos: Path, tmp_path: Path, how: str) -> None:
    """The next run goes on, and comes to the same choice."""
    write_clip(photos / "1" / "door.mp4", [11, 12])
    before = contents(photos)

    def left(store: Path, run: Path) -> dict[str, str]:
        below = contents(run)
        return {**below, **{f"store/{name}": each for name, each in contents(store).items()}}

    stillsift("sift", photos, how, tmp_path / "whole", "--keep", 3)
    whole = pictures(left(tmp_path / "whole", photos))
    if how == "--remove-to":
        stillsift("restore", "--store", tmp_path / "whole", "--all")
    assert contents(photos) == before
    ended = 0
    for step in (1, 2, 3, 4, 6, 9, 14):
        store = tmp_path / f"cut{step}"
        done = subprocess.run(
            [*CUT_OFF, "choose", str(step), photos, how, store, "--keep", "3"],
            capture_output=True,
            check=False,
        )
        ended += done.returncode == 0
        assert done.returncode in (0, -signal.SIGKILL), done
        assert stillsift("sift", photos, how, store, "--keep", 3).status == 0
        assert pictures(left(store, photos)) == whole, step
        if how == "--remove-to":
            stillsift("restore", "--store", store, "--all")
        assert contents(photos) == before
    assert ended < 3, "most were to be killed"


def pictures(found: dict[str, str]) -> list[str]:
    """What pictures are, by their content: frames of clips are compressed anew."""
    return sorted(
        each if "door" not in name else str(Path(name).parent)
        for name, each in found.items()
        if Path(name).suffix in {".jpg", ".mp4"}
    )

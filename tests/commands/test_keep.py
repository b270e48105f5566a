"""`sift --keep N`: of all that is new, the most different are kept, and the rest is told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from test_better_copies import write
from test_in_place import contents, listed

from conftest import Command
from footage import write_clip
from photographs import resized, textured
from stillsift.decisions import Outcome, Reason
from stillsift.ledger import LedgerReader
from stillsift.ledger.records import DecisionRecord

CUT_OFF = Path(__file__).with_name("cut_off_choice.py")


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
            assert ("none of the 2 most different" in decision.detail) is True
            assert (decision.similarity is not None) is own
            assert decision.distance is None


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
    for step in (1, 2, 3, 5, 8):
        store = tmp_path / f"cut{step}"
        done = subprocess.run(
            [sys.executable, CUT_OFF, str(step), photos, how, store],
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

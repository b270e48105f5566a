"""`stillsift tune` over real stores: what it tells, proposes, and writes into config.yaml."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import pytest

from clips import real_clip
from conftest import Command
from photographs import textured
from stillsift.cli import main
from stillsift.config import load
from stillsift.ledger import Ledger
from stillsift.ledger.records import CorrectionKind
from stillsift.store import Store
from stillsift.store.correction import Corrections

CONFIG = """\
store: {{path: {store}}}  # all of it
sources:
  - name: bikes  # a street
    directory: {clip}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one clip that `sift` has made with the defaults."""
    store = tmp_path_factory.mktemp("tune") / "store"
    assert main(["sift", str(real_clip("bikes")), "-o", str(store)]) == 0
    return store


def told(stillsift: Command, *given: object) -> Any:
    done = stillsift("tune", *given, "--json")
    assert done.status == 0, done.err
    return json.loads(done.out)


def configured(folder: Path, store: Path) -> Path:
    file = folder / "config.yaml"
    file.write_text(CONFIG.format(store=store, clip=real_clip("bikes")))
    return file


def test_every_sensitivity_is_tried_and_today_is_as_recorded(
    stillsift: Command, made: Path
) -> None:
    (source,) = told(stillsift, "--store", made)["sources"]
    (stats,) = json.loads(stillsift("stats", "--store", made, "--json").out)
    (today,) = (line for line in source["tried"] if line["name"] == "today")
    assert (today["kept"], today["added"], today["lost"]) == (stats["kept"], [], [])
    assert source["frames"] == stats["frames"]
    by_word = {e["sensitivity"]: e["kept"] for e in source["tried"] if e["novelty_limit"] == 1}
    assert by_word["lowest"] < by_word["normal"] <= by_word["highest"]
    for line in source["tried"]:
        assert line["kept"] == today["kept"] + len(line["added"]) - len(line["lost"])
    text = stillsift("tune", "--store", made).out
    assert "sensitivity  novelty_limit  kept" in text
    assert "today" in text


def test_one_change_is_told_with_its_frames(stillsift: Command, made: Path) -> None:
    (source,) = told(stillsift, "--store", made, "--set", "min_gap=4s")["sources"]
    today, changed = source["tried"]
    assert changed["name"] == "min_gap=4s"
    assert 0 < changed["kept"] < today["kept"]
    rows = stillsift("decisions", "--store", made, "--outcome", "kept", "--json").out
    kept = {json.loads(row)["id"] for row in rows.splitlines()}
    assert set(changed["lost"]) <= kept


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--set", "rate=all"), "what it changes is not recorded"),
        (("--set", "sensitivity=loud"), "sensitivity"),
        (("--keep-rate", "200%"), "not a share"),
        (("--kept-per-day", "0"), "more than 0"),
        (("--write",), "say which"),
        (("--keep-rate", "1%", "--write"), "name the configuration with -c"),
        (("--source", "shed"), "no such source"),
    ],
)
def test_what_makes_no_sense_is_refused(
    stillsift: Command,
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)  # where no config.yaml is
    done = stillsift("tune", "--store", made, *given)
    assert done.status == 2
    assert says in done.err


def test_a_proposal_is_shown_then_written_and_only_that(
    stillsift: Command, made: Path, tmp_path: Path
) -> None:
    file = configured(tmp_path, made)
    file.chmod(0o640)
    before = file.read_text()
    shown = stillsift("tune", "-c", file, "--keep-rate", "15%")
    assert shown.status == 0, shown.err
    assert "to be written with --write" in shown.out
    assert file.read_text() == before
    done = told(stillsift, "-c", file, "--keep-rate", "15%", "--write")
    assert done["written"] is True
    (source,) = done["sources"]
    after = file.read_text()
    assert "# all of it" in after
    assert "# a street" in after
    assert file.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["config.yaml"]
    (now,) = load(file).sources
    for key, value in source["proposed"].items():
        assert getattr(now, key) == value
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert len(added) == len(source["proposed"]) > 0
    assert stillsift("check-config", file).status == 0
    (again,) = told(stillsift, "-c", file, "--keep-rate", "15%")["sources"]
    assert again["proposed"] == {}


def test_a_source_that_the_configuration_does_not_have_is_not_written(
    stillsift: Command, made: Path, tmp_path: Path
) -> None:
    file = configured(tmp_path, made)
    file.write_text(file.read_text().replace("name: bikes", "name: street"))
    before = file.read_bytes()
    done = stillsift("tune", "-c", file, "--keep-rate", "15%", "--write")
    assert done.status == 2
    assert "has no source bikes" in done.err
    assert file.read_bytes() == before


def test_limits_that_keep_the_wanted_number_stay(stillsift: Command, made: Path) -> None:
    (source,) = told(stillsift, "--store", made)["sources"]
    (today,) = (line for line in source["tried"] if line["name"] == "today")
    for frames in (today["kept"] - 0.4, today["kept"], today["kept"] + 0.4):
        rate = f"{frames / source['frames']:.6f}"
        (proposed,) = told(stillsift, "--store", made, "--keep-rate", rate)["sources"]
        assert proposed["proposed"] == {}


def test_photographs_have_no_day(stillsift: Command, tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(path := tmp_path / f"{number}.png"), textured(number, 320, 240))
        os.utime(path, (1_700_000_000 + number * 10_000_000,) * 2)
    store = tmp_path / "store"
    assert stillsift("sift", *tmp_path.glob("*.png"), "-o", store).status == 0
    for source in told(stillsift, "--store", store)["sources"]:
        assert source["days"] is None
        assert {line["per_day"] for line in source["tried"]} == {None}
    out = stillsift("tune", "--store", store).out
    assert "1 frame\n" in out
    assert "a day" not in out


def test_an_unknown_key_is_answered_with_what_can_be_tried(stillsift: Command, made: Path) -> None:
    done = stillsift("tune", "--store", made, "--set", "zzz=1")
    assert done.status == 2
    assert "known here: sensitivity, novelty_limit" in done.err
    assert " rate" not in done.err
    done = stillsift("tune", "--store", made, "--set", "min_gapp=1s")
    assert "did you mean min_gap?" in done.err


def test_a_rate_that_cannot_be_reached_is_told(stillsift: Command, made: Path) -> None:
    (source,) = told(stillsift, "--store", made, "--keep-rate", "100%")["sources"]
    assert any("no pair of these comes near" in word for word in source["words"])


def test_limits_follow_corrections_once_there_are_enough(
    stillsift: Command, made: Path, tmp_path: Path
) -> None:
    (source,) = told(stillsift, "--store", made, "--set", "sensitivity=lowest")["sources"]
    lost = source["tried"][1]["lost"]
    rows = stillsift("decisions", "--store", made, "--outcome", "kept", "--json").out
    kept = [json.loads(row)["id"] for row in rows.splitlines()]
    file = configured(tmp_path, made)
    stay = [id_ for id_ in kept if id_ not in lost]
    with Ledger(made / "ledger.sqlite") as ledger:
        corrections = Corrections(Store(made, 0), ledger)
        numbers = [corrections.drop(lost[0])]
        few = stillsift("tune", "-c", file, "--from-corrections")
        assert "too few to choose limits by" in few.out
        numbers += [corrections.drop(id_) for id_ in lost[1:]]
        for one, other in pairwise(stay):
            numbers.append(ledger.label(CorrectionKind.DIFFERENT, one, other))
        (found,) = told(stillsift, "-c", file, "--from-corrections")["sources"]
        asked = found["corrections"]
        assert asked["known"] == len(kept) - 1 >= 10
        assert asked["contradicted_best"] < asked["contradicted_now"] == len(lost)
        if asked["contradicted_left_out"] < asked["contradicted_now"]:
            assert found["proposed"]
        for number in numbers:
            corrections.undo(number)
    (none,) = told(stillsift, "-c", file, "--from-corrections")["sources"]
    assert none["words"] == ["no correction is about a frame of this source and time"]

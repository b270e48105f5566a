"""The audit sample: picked by chance, laid aside, judged; and nothing else is any different."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from audited import dropped
from conftest import Command
from footage import write_clip, write_still
from running import Story, assert_agree, daemon, decided, kept_on_disk, listed, story
from stillsift.decisions import Outcome, Reason, outcome_of
from stillsift.ledger import LedgerReader
from stillsift.selection.audit_sample import is_chosen


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stills and clips, some of which repeat others, and copies of those."""
    folder = tmp_path_factory.mktemp("footage") / "gate"
    for number, name in enumerate(("00", "01", "02")):
        write_still(folder / f"{name}.jpg", number)
    shutil.copy2(folder / "01.jpg", folder / "03.jpg")
    with (folder / "03.jpg").open("ab") as file:
        file.write(b"\0")  # the same picture in another file: a near duplicate
    shutil.copy2(folder / "03.jpg", folder / "04.jpg")  # and its exact duplicate
    write_clip(folder / "05.mp4", [1, 5], number=5)
    shutil.copy2(folder / "05.mp4", folder / "06.mp4")
    return folder


def without_samples(store: Path) -> list[Story]:
    """What was decided, samples of the audit as what they were to be."""
    was = {r.decision.id: r.decision.dropped_as for r in decided(store)}
    return [
        replace(one, reason=str(was[one.id]), kept_path=None) if one.reason == "audit" else one
        for one in story(store)
    ]


@pytest.mark.parametrize("share", [0.5, 1])
@pytest.mark.parametrize("retire", ["leave", "move"])
def test_every_other_decision_is_as_without_the_audit(
    stillsift: Command, footage: Path, tmp_path: Path, share: float, retire: str
) -> None:
    watched = tmp_path / "gate"
    quarantined = []
    for store, audit in (("plain", 0), ("out", share)):
        shutil.rmtree(watched, ignore_errors=True)
        shutil.copytree(footage, watched)
        settings = ("rate=all", f"retire={retire}", f"audit={audit}")
        sets = [word for setting in settings for word in ("--set", setting)]
        assert stillsift("sift", watched, "-o", tmp_path / store, *sets).status == 0
        shutil.copy2(footage / "03.jpg", watched / "07.jpg")  # when all of it is recorded
        assert stillsift("sift", watched, "-o", tmp_path / store, *sets).status == 0
        area = tmp_path / store / "quarantine"
        quarantined.append({path.name for path in area.rglob("*") if path.is_file()})
    out, plain = tmp_path / "out", tmp_path / "plain"
    assert without_samples(out) == story(plain)
    assert quarantined[0] == quarantined[1]
    expected = {
        r.decision.id
        for r in decided(plain)
        if is_chosen(r.decision, share) and r.decision.reason is not Reason.EXACT_DUPLICATE
    }
    samples = [r for r in decided(out) if r.decision.reason is Reason.AUDIT]
    assert {r.decision.id for r in samples} == expected
    assert expected
    disk = kept_on_disk(out)
    assert {n: h for n, h in disk.items() if n.startswith("kept/")} == kept_on_disk(plain)
    assert sum(name.startswith("audit/gate/") for name in disk) == len(expected)
    assert_agree(out)
    for sample in samples:
        assert sample.kept_path is not None
        if sample.decision.content_hash is not None:
            assert disk[str(sample.kept_path)] == sample.decision.content_hash
            assert (out / sample.kept_path).stat().st_nlink == 1, "its original goes its own way"
    lines = [
        json.loads(line)
        for file in (out / "audit").rglob("metadata.jsonl")
        for line in file.read_text().splitlines()
    ]
    was = {r.decision.id: r.decision.dropped_as for r in samples}
    assert {line["id"]: line["dropped_as"] for line in lines} == was


def test_a_dry_run_picks_the_same_and_writes_nothing(
    stillsift: Command, footage: Path, tmp_path: Path
) -> None:
    sets = ("--set", "rate=all", "--set", "audit=0.5", "--json")
    dry = json.loads(stillsift("sift", footage, "--dry-run", *sets).out)["sources"][0]
    wet = json.loads(stillsift("sift", footage, "-o", tmp_path / "out", *sets).out)["sources"][0]
    assert dry["reasons"] == wet["reasons"]
    assert dry["reasons"]["audit"] > 0


def test_samples_count_as_laid_aside_and_not_as_kept(
    stillsift: Command, footage: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sets = ("--set", "rate=all", "--set", "audit=1", "--json")
    (told,) = json.loads(stillsift("sift", footage, "-o", out, *sets).out)["sources"]
    (recorded,) = json.loads(stillsift("stats", "--store", out, "--json").out)
    outcomes = ("kept", "aside", "dropped", "failed", "lost")
    for name in ("frames", "kept_bytes", *outcomes):
        assert told[name] == recorded[name]
    assert told["frames"] == sum(told[name] for name in outcomes)
    assert told["kept"] == len(list((out / "kept").rglob("*.jpg")))
    assert told["aside"] == len(list((out / "audit").rglob("*.jpg"))) > 0


def test_one_number_of_kept_frames_is_told_everywhere(
    stillsift: Command, footage: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sifted = stillsift("sift", footage, "-o", out, "--set", "rate=all", "--set", "audit=0.5").out
    kept = len(list((out / "kept").rglob("*.jpg")))
    aside = len(list((out / "audit").rglob("*.jpg")))
    assert f" frames, {kept} kept (" in sifted
    assert f", {aside} laid aside for the audit, " in sifted
    told = stillsift("stats", "--store", out).out
    heading, row, *_ = told.splitlines()
    counts = dict(zip(heading.split(), re.split(r"  +", row), strict=True))
    assert (counts["kept"], counts["aside"]) == (str(kept), str(aside))
    assert re.fullmatch(r"[0-9.]+ [kM]B", counts["size"])
    for text in (sifted, told):
        (line,) = re.findall(r"^  kept +(.*)$", text, re.MULTILINE)
        assert sum(int(each.split()[1]) for each in line.split(" · ")) == kept
    dropped = int(counts["dropped"])
    exact = sum(r.decision.reason is Reason.EXACT_DUPLICATE for r in decided(out))
    audited = stillsift("audit", "--store", out).out
    assert f"gate: {kept} kept, {dropped - exact + aside} dropped, {aside} of them" in audited
    (recorded,) = json.loads(stillsift("stats", "--store", out, "--json").out)
    (judged,) = json.loads(stillsift("audit", "--store", out, "--json").out)
    assert recorded["kept"] == judged["kept"] == kept


@pytest.mark.parametrize("share", ["-0.1", "1.5", "often"])
def test_a_share_that_is_none_is_told(stillsift: Command, footage: Path, share: str) -> None:
    done = stillsift("sift", footage, "--dry-run", "--set", f"audit={share}")
    assert done.status == 2
    assert "--set: audit: must be" in done.err
    assert share in done.err


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of what a clip had dropped lies aside."""
    from stillsift.cli import main

    folder = tmp_path_factory.mktemp("audited")
    clip = write_clip(folder / "gate.mp4", [1, 2, 3], frames=30)
    settings = ("--set", "rate=all", "--set", "audit=0.5")
    assert main(["sift", str(clip), "-o", str(folder / "store"), *settings]) == 0
    return folder / "store"


def test_samples_are_judged_and_the_rate_told(
    stillsift: Command, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "store"
    shutil.copytree(store, out)

    def audit(*arguments: object) -> Any:
        return json.loads(stillsift("audit", "--store", out, "--json", *arguments).out)

    samples = audit("--list")
    ids = [sample["id"] for sample in samples]
    assert len(ids) > 10
    assert all(Path(sample["path"]).is_file() for sample in samples)
    counts = {r.decision.id: r.decision.reason for r in decided(out)}
    (before,) = audit()
    assert before["sampled"] == len(ids)
    assert before["dropped"] == len(ids) + sum(
        outcome_of(reason) is Outcome.DROPPED and reason is not Reason.EXACT_DUPLICATE
        for reason in counts.values()
    )
    assert (before["judged"], before["rate"], before["rate_high"]) == (0, None, None)

    (after,) = audit("--wrong", ids[0][:8], samples[1]["path"], "--right", *ids[2:10])
    assert (after["judged"], after["wrong"], after["rate"]) == (10, 2, 0.2)
    assert (after["rate_low"], after["rate_high"]) == pytest.approx((0.02521, 0.55610), abs=1e-5)
    assert after["wrongly_dropped"] == pytest.approx(0.2 * after["dropped"])
    (after,) = audit("--right", ids[0])
    assert (after["judged"], after["wrong"]) == (10, 1), "the last word counts"
    assert [s["judged"] for s in audit("--list")][:3] == ["right", "wrong", "right"]

    text = stillsift("audit", "--store", out).out
    assert "10.00%  0.25% to 44.50%" in text
    shown = stillsift("audit", "--store", out, "--source", "gate", "--list").out.splitlines()
    assert len(shown) == 1 + len(ids)
    text = stillsift("stats", "--store", out).out
    left = f"{len(ids)} dropped frames in audit/, {len(ids) - 10} not judged yet: stillsift audit"
    assert f"  aside    {left}\n" in text
    audit("--right", *ids[10:])
    text = stillsift("stats", "--store", out).out
    assert f"  aside    {len(ids)} dropped frames in audit/, all judged: stillsift audit\n" in text


def test_a_judgement_that_is_not_clear_is_refused_as_a_whole(
    stillsift: Command, store: Path
) -> None:
    with LedgerReader(store / "ledger.sqlite") as ledger:
        (kept, *_) = ledger.decisions(reason=Reason.NOVEL)
        (one, two, *_) = (r.decision.id for r in ledger.decisions(reason=Reason.AUDIT))
    for words, reason in (
        (("--wrong", one, "--right", two, kept.decision.id), "no such sample"),
        (("--wrong", one, ""), "several samples begin so"),
        (("--wrong", one, "--right", one), "both wrong and right"),
        (("--wrong", one, "audit/gate/x.jpg"), "no such sample"),
    ):
        done = stillsift("audit", "--store", store, *words)
        assert done.status == 2
        assert reason in done.err
    with LedgerReader(store / "ledger.sqlite") as ledger:
        assert ledger.judgements() == {}


def test_samples_that_begin_alike_are_shown(stillsift: Command, store: Path) -> None:
    with LedgerReader(store / "ledger.sqlite") as ledger:
        ids = sorted(r.decision.id for r in ledger.decisions(reason=Reason.AUDIT))
    begin = next(a[0] for a, b in pairwise(ids) if a[0] == b[0])
    alike = [id for id in ids if id.startswith(begin)]
    err = stillsift("audit", "--store", store, "--right", begin).err
    assert f"audit: {begin}: several samples begin so: {', '.join(alike[:5])}" in err
    err = stillsift("audit", "--store", store, "--right", "").err
    assert f"{', '.join(ids[:5])} and {len(ids) - 5} more; write more digits" in err


def test_the_example_names_samples_that_there_can_be(stillsift: Command) -> None:
    """At the share that is recommended; the ids of samples are the lowest."""
    example = re.search(r"--right (\w+) (\w+) --wrong", stillsift("audit", "--help").out)
    assert example is not None
    for begin in example.groups():
        assert is_chosen(replace(dropped(0), id=begin.ljust(24, "0")), 0.001), begin


def test_samples_are_judged_beside_a_running_daemon(stillsift: Command, tmp_path: Path) -> None:
    watched = tmp_path / "gate"
    watched.mkdir()
    source = {"name": "gate", "directory": str(watched), "audit": 1}
    with daemon(tmp_path, [source]) as running:
        running.start()
        write_clip(tmp_path / "a.mp4", [1], frames=5).rename(watched / "a.mp4")
        running.until_done(1)
        samples = [r.decision.id for r in running.decided() if r.decision.reason is Reason.AUDIT]
        assert samples
        done = stillsift("audit", "--store", running.store, "--wrong", *samples)
        assert done.status == 0, done.err
        assert "100.00%" in done.out
        write_clip(tmp_path / "b.mp4", [7], frames=5, number=1).rename(watched / "b.mp4")
        running.until_done(2)
        reasons = [r.decision.reason for r in running.decided()]
        assert reasons.count(Reason.AUDIT) > len(samples), "the daemon goes on writing"
        counted = f'reason="audit",source="gate"}} {float(reasons.count(Reason.AUDIT))}'
        assert counted in running.get("/metrics")[1]
        assert running.stop() == 0, running.log
        assert "ERROR" not in running.log
        assert f"stopped: {reasons.count(Reason.NOVEL)} kept, 0 dropped" in running.log
        assert f"{reasons.count(Reason.AUDIT)} laid aside for the audit" in running.log
    assert_agree(running.store)
    with LedgerReader(running.store / "ledger.sqlite") as ledger:
        assert ledger.judgements() == dict.fromkeys(samples, True)


def test_a_picture_that_is_gone_is_counted(stillsift: Command, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    shutil.copytree(store, out)
    sample = next(out.glob("audit/*/*/*/*/*.jpg"))
    sample.unlink()
    assert stillsift("sift", store.parent / "gate.mp4", "-o", out).status == 0
    (told,) = json.loads(stillsift("audit", "--store", out, "--json").out)
    assert told["missing"] == 1
    text = stillsift("stats", "--store", out).out
    assert "  missing  1 picture of the audit: gone from the store\n" in text
    kept = next(out.glob("kept/*/*/*/*/*.jpg"))
    kept.unlink()
    assert stillsift("sift", store.parent / "gate.mp4", "-o", out).status == 0
    text = stillsift("stats", "--store", out).out
    assert "  missing  1 kept frame, 1 picture of the audit: gone from the store\n" in text
    (counted,) = json.loads(stillsift("stats", "--store", out, "--json").out)
    assert counted["missing"] == counted["audit"]["missing"] == 1
    assert counted["audit"]["open"] == counted["audit"]["sampled"] - 1
    assert not any(Path(name).name == sample.name for name in listed(out))

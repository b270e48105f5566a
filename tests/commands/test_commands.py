"""The commands around the line: help, filters, formats, restoring, models, and every Problem as a
sentence."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Command
from footage import START_S, jpeg, write_clip, write_still, write_stills
from running import decided, kept_on_disk, on_terminal
from stillsift.cli import COMMANDS, parser
from stillsift.commands.tables import DECISION_COLUMNS
from stillsift.decisions import Outcome, Reason, time_text
from stillsift.ledger import Ledger
from stillsift.ledger.records import Batch, GapRecord
from stillsift.store import Store
from stillsift.store.correction import Corrections

PHOTOS = 6
STILLSIFT_QUIET = (sys.executable, "-W", "ignore", "-m", "stillsift")
"""For commands that import what others wrote."""


def day(number: int) -> str:
    """The time of a photo, for --since and --until."""
    return (datetime.fromtimestamp(START_S, UTC) + timedelta(seconds=10 * number)).isoformat()


@pytest.fixture
def store(stillsift: Command, tmp_path: Path) -> Path:
    """Photos (one broken, one copied) and a clip, sifted."""
    photos, out = tmp_path / "photos", tmp_path / "store"
    write_stills(photos, range(PHOTOS))
    (photos / "img7.jpg").write_bytes(jpeg(7)[:300])
    shutil.copy2(photos / "img2.jpg", photos / "img8.jpg")
    write_clip(tmp_path / "gate.mp4", [1, 2])
    stillsift("sift", photos, tmp_path / "gate.mp4", "-o", out)
    return out


# -- help ------------------------------------------------------------------------------------------


def test_a_command_imports_none_of_the_others_and_sets_aside_what_it_has_imported() -> None:
    told = """
import gc, sys
gc.disable()  # as __main__ does
from stillsift.cli import main
main(["stats", "--store", "nowhere"])
commands = [name for name in sys.modules if name.startswith("stillsift.commands.")]
print(gc.isenabled(), gc.get_freeze_count() > 10_000, *commands)
"""
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    enabled, set_aside, *commands = done.stdout.split()
    assert (enabled, set_aside) == ("True", "True")
    imported = {name.rpartition(".")[2].replace("_", "-") for name in commands}
    assert imported & set(COMMANDS) == {"stats"}


@pytest.mark.parametrize("module", ["stillsift.system_libraries", "numpy", "stillsift.decisions"])
def test_an_interruption_while_it_is_imported_is_one_line(module: str) -> None:
    told = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
class AtImport:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, AtImport())
from stillsift.__main__ import main
sys.argv = ["stillsift", "stats", "--store", "nowhere"]
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    # Python may end by the signal itself, which shells call 130, too.
    assert done.returncode in (130, -signal.SIGINT)
    assert done.stderr == "stillsift: interrupted\n"


def test_help_names_every_command(stillsift: Command) -> None:
    done = stillsift("--help")
    assert done.status == 0
    for name in COMMANDS:
        assert re.search(rf"^ +{name}\s+\w", done.out, re.MULTILINE), name
    for status in ("0 done", "1 failed", "2 usage", "75 try again", "78 configuration"):
        assert status in done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_examples_that_parse(stillsift: Command, name: str) -> None:
    done = stillsift(name, "--help")
    assert done.status == 0
    _, _, examples = done.out.partition("examples:\n")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith(f"stillsift {name}")]
    assert ours, "an example of this very command"
    for line in ours:
        words = re.split(r" {2,}|\s+\(| > ", line)[0].split()[1:]
        assert isinstance(parser().parse_args(words), argparse.Namespace), line


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_usage(stillsift: Command, name: str) -> None:
    done = stillsift(name, "--no-such-option")
    assert done.status == 2
    assert "usage: stillsift" in done.err


# -- what was decided ------------------------------------------------------------------------------


def told(done_out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done_out.splitlines()]


def test_decisions_are_shown_in_every_format(stillsift: Command, store: Path) -> None:
    records = decided(store)
    lines = told(stillsift("decisions", "--store", store, "--json").out)
    assert [line["id"] for line in lines] == [record.decision.id for record in records]
    assert told(stillsift("decisions", "--store", store, "--format", "jsonl").out) == lines

    table = list(
        csv.DictReader(io.StringIO(stillsift("decisions", "--store", store, "--format", "csv").out))
    )
    assert [row["id"] for row in table] == [line["id"] for line in lines]
    assert [list(row) for row in table[:1]] == [list(lines[0])]
    assert [row["kept_path"] for row in table] == [line["kept_path"] or "" for line in lines]

    text = stillsift("decisions", "--store", store).out.splitlines()
    assert len(text) == len(records) + 1
    for line, record in zip(text[1:], records, strict=True):
        assert record.decision.reason in line
        assert time_text(record.decision.captured_at_ns) in line


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (["--source", "gate"], lambda d: d.source == "gate"),
        (["--outcome", "kept"], lambda d: d.outcome is Outcome.KEPT),
        (["--reason", "decode_error"], lambda d: d.reason is Reason.DECODE_ERROR),
        (["--reason", "exact_duplicate"], lambda d: d.reason is Reason.EXACT_DUPLICATE),
        (["--source", "photos", "--since", day(3)], lambda d: at(d) >= 30 and photo(d)),
        (["--source", "photos", "--until", day(3)], lambda d: at(d) < 30 and photo(d)),
        (["--since", day(1), "--until", day(2)], lambda d: 10 <= at(d) < 20),
        (["--file", "img7.jpg"], lambda d: named(d) == "img7.jpg"),
        (["--file", "mg7.jpg"], lambda d: d is None),
        (["--file", "./photos/img7.jpg"], lambda d: named(d) == "img7.jpg"),
        (["--file", "gate.mp4", "--outcome", "kept"], lambda d: d.source == "gate" and kept(d)),
    ],
)
def test_filters_leave_what_they_say(
    stillsift: Command, store: Path, filters: list[str], left: Any
) -> None:
    lines = told(stillsift("decisions", "--store", store, "--json", *filters).out)
    wanted = [record.decision.id for record in decided(store) if left(record.decision)]
    assert [line["id"] for line in lines] == wanted


def at(decision: Any) -> float:
    return float(decision.captured_at_ns / 1e9 - START_S)


def photo(decision: Any) -> bool:
    return bool(decision.source == "photos")


def named(decision: Any) -> str:
    return str(decision.file.name)


def kept(decision: Any) -> bool:
    return bool(decision.outcome is Outcome.KEPT)


def test_one_frame_is_asked_for_by_its_id_its_picture_or_its_file(
    stillsift: Command, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = next(r for r in decided(store) if kept(r.decision) and photo(r.decision))
    assert one.kept_path is not None
    (tmp_path / "photos" / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "photos" / "inside")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    id, file = one.decision.id, one.decision.file
    assert file is not None
    for asked in (
        [id],
        [id[:8].upper()],
        [store / one.kept_path],
        ["--file", file],
        ["--file", f"../{file.name}"],
        ["--file", tmp_path / "link" / file.name],
        [id, "--file", file],
    ):
        lines = told(stillsift("decisions", "--store", store, "--json", *asked).out)
        assert [line["id"] for line in lines] == [id], asked
    assert (
        stillsift("decisions", "--store", store, id, "--file", "img7.jpg").out == "no decisions\n"
    )


def test_a_name_that_is_no_utf8_is_found(stillsift: Command, tmp_path: Path) -> None:
    latin = os.fsdecode(b"caf\xe9")
    write_still(tmp_path / "photos" / latin / "a.jpg", 1)
    write_still(tmp_path / "photos" / "b.jpg", 2)
    stillsift("sift", tmp_path / "photos", "-o", tmp_path / "out")
    for asked in ("a.jpg", f"{latin}/a.jpg", tmp_path / "photos" / latin / "a.jpg"):
        shown = stillsift("decisions", "--store", tmp_path / "out", "--json", "--file", asked)
        assert [Path(line["file"]).name for line in told(shown.out)] == ["a.jpg"]


def test_the_table_tells_measures_with_their_limits_and_why_a_file_failed(
    stillsift: Command, store: Path
) -> None:
    shown = stillsift("decisions", "--store", store).out.splitlines()
    for text, record in zip(shown[1:], decided(store), strict=True):
        one = record.decision
        if one.novelty is not None:
            assert f" {one.novelty:.3f}/{one.novelty_limit:.3f} " in text
        if one.sharpness_limit is not None:
            assert f" {one.sharpness:.3f}/{one.sharpness_limit:.3f} " in text
        assert (one.nearest_kept or "") in text
        if one.detail and one.outcome is not Outcome.FAILED:
            assert text.endswith(one.detail)
    heading, failed = stillsift("decisions", "--store", store, "--outcome", "failed").out.split(
        "\n"
    )[:2]
    (record,) = (r for r in decided(store) if r.decision.outcome is Outcome.FAILED)
    assert heading.split() == ["captured_at", "source", "outcome", "reason", "file", "detail"]
    assert failed.count(str(record.decision.file)) == 1
    assert failed.endswith(str(record.decision.detail).removeprefix(f"{record.decision.file}: "))


def test_a_terminal_gets_lines_of_its_width(store: Path) -> None:
    failed = lines_on_terminal("decisions", "--store", store, "--source", "photos", columns=150)
    assert max(map(len, failed)) <= 150
    told = r"  img7.jpg#0  +-  +a JPEG with a damaged header$"
    assert any(re.search(told, line) for line in failed)
    (one,) = (r.decision for r in decided(store) if r.decision.outcome is Outcome.FAILED)
    alone = lines_on_terminal("decisions", "--store", store, "--outcome", "failed", columns=40)
    assert [line.split("  ")[0] for line in alone] == [
        *("captured_at", "source", "outcome", "reason", "file", "detail")
    ]
    assert alone[-2].endswith(f" {one.file}#0")
    every = lines_on_terminal("decisions", "--store", store, columns=80)
    assert len(every) == len(decided(store)) + 1
    assert max(map(len, every)) <= 80


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_a_terminal_of_any_width_names_the_file_that_is_repeated(store: Path, columns: int) -> None:
    shown = lines_on_terminal("decisions", "--store", store, columns=columns)
    assert max(map(len, shown)) <= columns
    heading = shown[0].split()
    assert [name for name in heading if name in ("reason", "file", "repeats")] == [
        *("reason", "file", "repeats")
    ]
    (copy,) = (line for line in shown if "exact_duplicate" in line)
    assert re.search(r"exact_duplicate .*img8\.jpg#0 +\S*img2\.jpg#0", copy)
    assert ("captured_at" in heading) == (columns >= 80)
    assert ("source" in heading) == ("novelty" in heading) == (columns >= 120)
    assert ("nearest_kept" in heading) == (columns >= 200)


def test_long_names_are_cut_at_their_beginning(stillsift: Command, tmp_path: Path) -> None:
    first = write_still(tmp_path / "in" / f"{'a' * 60}_first.jpg", 1)
    shutil.copy2(first, tmp_path / "in" / f"{'b' * 60}_second.jpg")
    stillsift("sift", tmp_path / "in", "-o", tmp_path / "out")
    for columns in (40, 60, 120):
        shown = lines_on_terminal("decisions", "--store", tmp_path / "out", columns=columns)
        assert max(map(len, shown)) <= columns
        assert re.search(r"  …\S*ond\.jpg#0  …\S*rst\.jpg#0", shown[2]), shown


def test_through_a_pipe_the_file_that_is_repeated_is_told_in_full(
    stillsift: Command, store: Path, tmp_path: Path
) -> None:
    done = stillsift("decisions", "--store", store, "--reason", "exact_duplicate")
    assert f"{tmp_path / 'photos' / 'img2.jpg'}#0" in done.out.splitlines()[1]
    kept = stillsift("decisions", "--store", store, "--outcome", "kept")
    assert "repeats" not in kept.out.splitlines()[0]


def test_what_somebody_rejected_or_picked_repeats_nothing(stillsift: Command, store: Path) -> None:
    kept = [each.decision for each in decided(store) if each.decision.outcome is Outcome.KEPT]
    last = [each for each in kept if each.nearest_kept][-1]
    with Ledger(store / "ledger.sqlite") as ledger:
        Corrections(Store(store, 0), ledger).drop(last.id)
    shown = stillsift("decisions", "--store", store, "--reason", "rejected").out.splitlines()
    assert "rejected" in shown[1]
    assert "repeats" not in shown[0]


def lines_on_terminal(*arguments: object, columns: int) -> list[str]:
    """What a terminal of that width is shown."""
    status, seen, _ = on_terminal(*arguments, stream="stdout", columns=columns)
    assert status == 0
    return seen.decode().splitlines()


def test_limit_shows_the_newest(stillsift: Command, store: Path) -> None:
    lines = told(stillsift("decisions", "--store", store, "--json", "--limit", "3").out)
    assert [line["id"] for line in lines] == [r.decision.id for r in decided(store)[-3:]]


def test_every_format_has_the_same_columns_whatever_is_there(
    stillsift: Command, store: Path
) -> None:
    for filters in (["--reason", "budget"], ["--source", "photos"], ["--outcome", "failed"]):
        text = stillsift("decisions", "--store", store, "--format", "csv", *filters).out
        assert next(csv.reader(io.StringIO(text))) == list(DECISION_COLUMNS)
        for line in told(stillsift("decisions", "--store", store, "--json", *filters).out):
            assert list(line) == list(DECISION_COLUMNS)
            for name, value in line.items():
                kinds = {"whole": int, "number": float}
                assert value is None or type(value) is kinds.get(DECISION_COLUMNS[name], str)


def test_measures_have_the_digits_that_mean_something(stillsift: Command, tmp_path: Path) -> None:
    out, clip = tmp_path / "limit", write_clip(tmp_path / "gate.mp4", [1, 2])
    stillsift("sift", clip, "-o", out, "--set", "novelty_limit=0.6")
    lines = told(stillsift("decisions", "--store", out, "--json").out)
    assert {line["novelty_limit"] for line in lines} == {0.6}
    listed = [told(listing.read_text()) for listing in (out / "kept").rglob("metadata.jsonl")]
    for line in lines + [line for some in listed for line in some]:
        for name in ("sharpness", "similarity", "novelty", "novelty_limit", "distance", "pts_s"):
            if line.get(name) is not None:
                assert len(str(line[name]).replace(".", "").strip("0")) <= 6, line


@pytest.mark.parametrize("what", ["clip", "photographs"])
def test_a_limit_beyond_the_novelty_that_is_shown_drops_the_frame(
    stillsift: Command, tmp_path: Path, what: str
) -> None:
    if what == "clip":
        place = write_clip(tmp_path / "gate.mp4", [1, 2, 3])
    else:
        place = tmp_path / "photos"
        place.mkdir()
        for number in range(3):
            write_still(place / f"{number}.jpg", number)

    def decided_at(limit: float) -> dict[tuple[str, int], dict[str, Any]]:
        file = tmp_path / "decisions.jsonl"
        words = ("--dry-run", "--decisions", file, "--set", f"novelty_limit={limit}")
        assert stillsift("sift", place, *words).status == 0
        return {(each["file"], each["frame_index"]): each for each in told(file.read_text())}

    news = {
        frame: each["novelty"]
        for frame, each in decided_at(1).items()
        if each["reason"] == "novel" and each["novelty"] is not None
    }
    frame = next(iter(news))  # it was compared with the first frame alone, at any limit
    for share, kept in ((0.8, True), (1.2, False)):
        limit = share * news[frame]
        decided = decided_at(limit)[frame]
        assert (decided["reason"] == "novel") is kept
        assert decided["novelty_limit"] == pytest.approx(limit, rel=1e-5)
        assert (decided["novelty"] > decided["novelty_limit"]) is kept


def needs(*libraries: str) -> pytest.MarkDecorator:
    """Skips a test, before its fixtures are made, where a library is not installed."""
    missing = [name for name in libraries if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture
def exports(stillsift: Command, store: Path, tmp_path: Path) -> Path:
    """Folders of CSV and JSON lines, and of Parquet if pyarrow is there: of all decisions, of one
    photograph of which little was measured, of none."""
    folder = tmp_path / "exports"
    stillsift("sift", tmp_path / "photos" / "img0.jpg", "-o", tmp_path / "one")
    asked: dict[str, list[object]] = {
        "0one": [tmp_path / "one"],
        "1all": [store],
        "2none": [store, "--reason", "budget"],
    }
    forms = ["csv", "jsonl"]
    forms += [] if importlib.util.find_spec("pyarrow") is None else ["parquet"]
    for form in forms:
        (folder / form).mkdir(parents=True)
        for name, (place, *filters) in asked.items():
            with (folder / form / f"{name}.{form}").open("wb") as file:
                command = ("decisions", "--store", place, "--format", form, *filters)
                subprocess.run([*STILLSIFT_QUIET, *map(str, command)], stdout=file, check=True)
    (folder / "jsonl" / "2none.jsonl").unlink()  # an empty file is none of JSON lines
    return folder


@needs("pyarrow")
def test_exports_are_read_together_by_pyarrow(exports: Path, store: Path) -> None:
    dataset: Any = importlib.import_module("pyarrow.dataset")
    number = len(decided(store)) + 1
    table = dataset.dataset(exports / "parquet").to_table()
    assert table.num_rows == number
    types = {"text": "string", "whole": "int64", "number": "double"}
    types["time"] = "timestamp[us, tz=UTC]"
    wanted = {name: types[kind] for name, kind in DECISION_COLUMNS.items()}
    assert {field.name: str(field.type) for field in table.schema} == wanted
    for form, name in (("csv", "csv"), ("json", "jsonl")):
        read = dataset.dataset(exports / name, schema=table.schema, format=form).to_table()
        assert read.num_rows == number
        assert read.column("captured_at").to_pylist() == table.column("captured_at").to_pylist()


@needs("datasets")
def test_exports_are_read_together_by_datasets(
    exports: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets: Any = importlib.import_module("datasets")
    kinds = {"whole": "int64", "number": "float64"}
    features = datasets.Features(
        {name: datasets.Value(kinds.get(kind, "string")) for name, kind in DECISION_COLUMNS.items()}
    )
    number = len(decided(store)) + 1
    for form, name, types in (
        ("parquet", "parquet", None),
        ("csv", "csv", features),
        ("json", "jsonl", features),
    ):
        read = datasets.load_dataset(
            form, data_dir=str(exports / name), split="train", features=types
        )
        assert (len(read), list(read.features)) == (number, list(DECISION_COLUMNS)), form


@needs("duckdb", "pandas")
def test_exports_are_read_together_by_pandas_and_duckdb(exports: Path, store: Path) -> None:
    duckdb: Any = importlib.import_module("duckdb")
    pandas: Any = importlib.import_module("pandas")
    number = len(decided(store)) + 1
    for form in ("parquet", "csv", "jsonl"):
        files = exports / form / f"*.{form}"
        assert duckdb.sql(f"select count(*) from '{files}'").fetchall() == [(number,)]
    assert len(pandas.read_parquet(exports / "parquet")) == number
    tables = [pandas.read_csv(file) for file in sorted((exports / "csv").iterdir())]
    assert len(pandas.concat(tables)) == number


def test_parquet_needs_pyarrow_and_says_so(
    stillsift: Command, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        done = stillsift("decisions", "--store", store, "--format", "parquet")
        assert done.status == 2
        assert "pip install pyarrow" in done.err
        return
    import pyarrow.parquet  # type: ignore[import-not-found, import-untyped, unused-ignore]

    with (tmp_path / "d.parquet").open("w") as file:
        monkeypatch.setattr("sys.stdout", file)
        stillsift("decisions", "--store", store, "--format", "parquet")
    table = pyarrow.parquet.read_table(tmp_path / "d.parquet")
    assert table.column("id").to_pylist() == [r.decision.id for r in decided(store)]


def test_stats_add_up(stillsift: Command, store: Path) -> None:
    records = decided(store)
    sources = {
        one["source"]: one for one in json.loads(stillsift("stats", "--store", store, "--json").out)
    }
    assert sources.keys() == {"gate", "photos"}
    for name, one in sources.items():
        mine = [record.decision for record in records if record.decision.source == name]
        assert one["frames"] == len(mine)
        assert sum(one[outcome.value] for outcome in Outcome) == len(mine)
        for reason, count in one["reasons"].items():
            assert count == sum(decision.reason == reason for decision in mine)
    size = sum((store / path).stat().st_size for path in kept_on_disk(store))
    assert sum(one["kept_bytes"] for one in sources.values()) == size
    text = stillsift("stats", "--store", store).out
    assert re.search(rf"^photos +{sources['photos']['frames']} +", text, re.MULTILINE)
    assert "decode_error 1" in text


def test_gaps_are_shown_with_from_to_and_cause(stillsift: Command, store: Path) -> None:
    assert stillsift("gaps", "--store", store).out == "no gaps\n"
    start = START_S * 10**9
    with Ledger(store / "ledger.sqlite") as ledger:
        ledger.commit(
            Batch("c", "m", gaps=[GapRecord("yard", start, start + 5 * 10**9, "no answer")])
        )
    shown = json.loads(stillsift("gaps", "--store", store, "--json").out)
    assert shown == [
        {
            "source": "yard",
            "from": time_text(start),
            "to": time_text(start + 5 * 10**9),
            "seconds": 5.0,
            "cause": "no answer",
        }
    ]
    assert "no answer" in stillsift("gaps", "--store", store, "--source", "yard").out
    assert stillsift("gaps", "--store", store, "--source", "gate").out == "no gaps\n"


@pytest.mark.parametrize(
    "command", [["decisions"], ["gaps"], ["alarms"], ["audit"], ["restore", "--list"], ["stats"]]
)
def test_a_source_that_left_no_trace_is_told_with_those_that_did(
    stillsift: Command, store: Path, tmp_path: Path, command: list[str]
) -> None:
    done = stillsift(*command, "--store", store, "--source", "gatf")
    assert (done.status, done.out) == (2, "")
    told = f"--source gatf: no such source in {store / 'ledger.sqlite'}; it has gate, photos\n"
    assert done.err == f"stillsift: {told}"
    assert stillsift(*command, "--store", store, "--source", "gate").status == 0
    # One that is to be watched, and nothing came yet, is no mistake.
    config = tmp_path / "config.yaml"
    yard = {"name": "yard", "directory": str(tmp_path / "yard")}
    config.write_text(yaml.safe_dump({"store": {"path": str(store)}, "sources": [yard]}))
    assert stillsift(*command, "-c", config, "--source", "yard").status == 0
    assert stillsift(*command, "-c", config, "--source", "gatf").status == 2


def test_stats_groups_reasons_as_sift_does_and_counts_one_as_one(
    stillsift: Command, store: Path, tmp_path: Path
) -> None:
    text = stillsift("stats", "--store", store, "--source", "photos").out
    assert "gate" not in text
    assert text.endswith(
        "\nphotos\n  kept     novel 6\n  dropped  exact_duplicate 1\n  failed   decode_error 1\n"
    )
    done = stillsift("sift", store.parent / "photos" / "img0.jpg", "-o", tmp_path / "one")
    assert done.out.startswith("img0: 1 frame, 1 kept (100.0%)")


# -- restore ---------------------------------------------------------------------------------------


def test_restore_lists_brings_back_one_or_all_and_overwrites_nothing(
    stillsift: Command, tmp_path: Path
) -> None:
    clips, out = tmp_path / "clips", tmp_path / "store"
    for number in range(3):
        write_clip(clips / f"{number}.mp4", [number, number + 10], number=number)
    before = {path.name: path.read_bytes() for path in clips.iterdir()}
    stillsift("sift", clips, "-o", out, "--set", "retire=move")
    assert list(clips.iterdir()) == []
    shown = json.loads(stillsift("restore", "--store", out, "--list", "--json").out)
    assert {Path(row["file"]).name: row["bytes"] for row in shown} == {
        name: len(data) for name, data in before.items()
    }
    assert list(clips.iterdir()) == [], "a list restores nothing"

    assert stillsift("restore", "0.mp4", "--store", out).status == 0
    assert (clips / "0.mp4").read_bytes() == before["0.mp4"]

    done = stillsift("restore", clips / "1.mp4", "--store", out, "--output", tmp_path / "back")
    assert done.status == 0
    assert (tmp_path / "back" / "1.mp4").read_bytes() == before["1.mp4"]
    assert not (clips / "1.mp4").exists()

    (clips / "2.mp4").write_bytes(b"another")
    done = stillsift("restore", "--all", "--store", out)
    assert done.status == 1
    assert "nothing overwritten" in done.out
    assert (clips / "2.mp4").read_bytes() == b"another"
    (clips / "2.mp4").unlink()
    assert stillsift("restore", "--all", "--store", out).status == 0
    assert (clips / "2.mp4").read_bytes() == before["2.mp4"]
    assert "nothing in quarantine" in stillsift("restore", "--list", "--store", out).out

    known = len(decided(out))
    stillsift("sift", clips, "-o", out, "--set", "retire=move")
    assert len(decided(out)) == known, "what was restored is not taken again"


# -- models, doctor, check-config ------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [0, 2, 4])
def test_models_are_listed_and_a_damaged_file_is_found(
    stillsift: Command, tmp_path: Path, chosen: int
) -> None:
    listed = json.loads(stillsift("models", "list", "--json").out)
    kinds = ["embedder", "embedder", "tags", "detector", "detector"]
    assert [model["kind"] for model in listed] == kinds
    assert all(Path(model["file"]).is_file() and model["licence"] for model in listed)
    assert listed[3]["labels"][0] == "person"
    done = stillsift("models", "verify")
    assert done.status == 0
    assert done.out.count("ok on ") == len(listed)

    shipped = Path(listed[0]["file"]).parent
    copied = Path(shutil.copytree(shipped, tmp_path / "models"))
    damaged = copied / Path(listed[chosen]["file"]).name
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    done = stillsift("models", "verify", "--manifest", copied / "manifest.yaml", "--json")
    assert done.status == 1
    verdicts = {model["name"]: model.get("error") for model in json.loads(done.out)}
    broken = verdicts.pop(listed[chosen]["name"])
    assert broken is not None
    assert str(damaged) in broken
    assert set(verdicts.values()) == {None}


def test_doctor_tells_what_is_there_and_what_is_wrong(stillsift: Command, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"store": {"path": str(tmp_path / "s"), "min_free": 0}}))
    findings = json.loads(stillsift("doctor", "-c", config, "--json").out)
    found = {finding["subject"]: finding for finding in findings}
    assert {"stillsift", "opencv-python", "GPU", "inotify", "configuration", "store"} <= set(found)
    assert found["store"]["ok"]
    assert all(finding["ok"] or finding["remedy"] for finding in findings)

    config.write_text(yaml.safe_dump({"store": {"path": str(tmp_path / "s"), "min_free": "999TB"}}))
    assert f"ok     configuration: {config}, 0 sources\n" in stillsift("doctor", "-c", config).out
    done = stillsift("doctor", "-c", config)
    assert done.status == 1
    assert re.search(r"^WRONG +store: ", done.out, re.MULTILINE)


def test_doctor_says_that_there_is_no_configuration(
    stillsift: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = stillsift("doctor")
    assert "\nnone   configuration: there is none (config.yaml); the built-in defaults" in done.out
    found = {one["subject"]: one for one in json.loads(stillsift("doctor", "--json").out)}
    assert not found["configuration"]["there"]
    assert found["store"]["there"]


def test_a_source_that_lies_in_the_store_is_a_mistake(stillsift: Command, tmp_path: Path) -> None:
    config, store = tmp_path / "config.yaml", tmp_path / "s"
    (store / "kept").mkdir(parents=True)
    (tmp_path / "link").symlink_to(store / "kept")
    for place in (store / "kept", store / "kept" / "gate", tmp_path / "link"):
        sections = {"store": {"path": str(store)}}
        source = {"name": "gate", "directory": str(place)}
        told = yaml.safe_dump({**sections, "sources": [source]}, sort_keys=False)
        config.write_text(told)
        for command in (["check-config", config], ["run", "-c", config]):
            done = stillsift(*command)
            assert done.status == 78
            assert f"is {str(place)!r} and lies in the store ({store})" in done.err
            assert f"{config}:5: sources.gate.directory" in done.err


def test_check_config_says_what_is_right_and_what_is_not_there(
    stillsift: Command, tmp_path: Path
) -> None:
    config, gate = tmp_path / "config.yaml", tmp_path / "gate"
    sources = [{"name": "gate", "directory": str(gate)}]
    sections = {"store": {"path": str(tmp_path / "s")}, "metrics": {"listen": "off"}}
    config.write_text(yaml.safe_dump({**sections, "sources": sources}))
    done = stillsift("check-config", config)
    assert (done.status, done.out) == (0, f"{config}: right; 1 source\n")

    done = stillsift("check-config", config, "--probe", "--json")
    assert done.status == 1
    problems = {probe["what"]: probe["problem"] for probe in json.loads(done.out)["probes"]}
    assert [what for what, problem in problems.items() if problem] == [f"source gate ({gate})"]
    gate.mkdir()
    done = stillsift("check-config", config, "--probe")
    assert done.status == 0
    assert f"source gate ({gate}): ok" in done.out

    config.write_text("stor: {}\nsources:\n  - {name: gate}\n  - {name: gate, rate: -1}\n")
    done = stillsift("check-config", config)
    assert done.status == 78
    for said in (f"{config}:1: stor", "did you mean store?", f"{config}:3:", f"{config}:4:"):
        assert said in done.err
    schema = json.loads(stillsift("check-config", "--schema").out)
    assert {"store", "model", "sources", "defaults"} <= schema["properties"].keys()


# -- problems --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["decisions", "--store", "nothing"], 1, "nothing/ledger.sqlite: there is no ledger"),
        (["stats", "--store", "nothing"], 1, "there is no ledger"),
        (["gaps", "--store", "nothing"], 1, "there is no ledger"),
        (["restore", "--all", "--store", "nothing"], 2, "--store DIR"),
        (["restore", "--store", "nothing"], 2, "name files, or --all, or --list"),
        (["decisions", "--store", "junk"], 1, "not a SQLite database"),
        (["stats", "--store", "junk"], 1, "not a SQLite database"),
        (["restore", "--all", "--store", "junk"], 1, "not a SQLite database"),
        (["sift", "in.jpg", "-o", "junk"], 1, "not a SQLite database"),
        (["decisions", "--store", "junk", "--since", "yesterday"], 2, "yesterday: not a time"),
        (["decisions", "--outcome", "lovely"], 2, "lovely"),
        (["decisions", "--store", "junk", "in.jpg"], 2, "--file NAME"),
        (["models", "verify", "--manifest", "nothing.yaml"], 78, "nothing.yaml"),
        (["check-config", "nothing.yaml"], 78, "nothing.yaml"),
        (["check-config"], 2, "name a file"),
        (["run"], 2, "name a configuration"),
        (["run", "-c", "nothing.yaml"], 78, "nothing.yaml"),
        (["sift", "in.jpg", "-o", "out", "-c", "binary.yaml"], 78, "binary.yaml"),
    ],
)
def test_a_problem_is_a_sentence_and_a_status(
    stillsift: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_still(tmp_path / "in.jpg", 1)
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "ledger.sqlite").write_bytes(b"this is no database" * 100)
    (tmp_path / "binary.yaml").write_bytes(b"\x00\xff\xfe")
    done = stillsift(*arguments)
    assert done.status == status, done.err
    assert said in done.err
    assert done.out == ""

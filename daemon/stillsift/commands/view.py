"""Implements `stillsift view`: shows in a window each frame beside the one it was compared with."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from ..config import Config, SourceConfig, load
from ..config.yaml_file import with_overrides
from ..decisions import Outcome
from ..escapes import escaped
from ..ledger import LedgerReader
from ..pipeline import Engine
from ..review.pictures import Pictures
from ..service import Metrics
from ..service.logs import set_up_logging
from ..service.signals import Signals
from ..units import counted
from .arguments import Commands, UsageError, add_command, usual_config
from .hand_kept import HandKept, lies_in
from .pairs import Pairs
from .process_list import hide_passwords
from .sift_sources import check_examples, sources_of
from .tally import Tally, by_outcome
from .viewed import Reading
from .viewer import Cells, Viewer
from .window import Window, display

_OUTPUT = Path("stillsift-view")
_SIZE = (1280, 560)
"""Pixels of the window, until somebody changes it."""
_EXAMPLES = """\
  stillsift view clip.mp4                            a clip, a still or a folder
  stillsift view yard -c config.yaml                 a source of the configuration, as it is set
  stillsift view rtsp://viewer@camera.local/stream --password-file pw
  stillsift view clip.mp4 --set sensitivity=0.8      how would it decide then?
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "view",
        view,
        "Watch in a window how it decides: each frame beside the one it was compared with.",
        _EXAMPLES,
    )
    parser.add_argument(
        "what",
        metavar="SOURCE|FILE|FOLDER",
        help="clip, still or folder; rtsp URL; name of a source of the configuration",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help=f"folder for the frames that you keep with the key k (default: {_OUTPUT})",
    )
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        help="take settings from FILE (a name is also looked for in the usual configuration)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting, VALUE is YAML; may be repeated",
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="read the password of the camera from FILE; the user stands in the URL",
    )


def view(given: argparse.Namespace) -> int:
    """Shows every decision until the window is closed.

    Returns 0 when done, 130 when interrupted, and 1 where nothing could be read or the reading
    ended with an error.
    """
    hide_passwords([given.what])
    config, source, watch = _asked(given)
    output = _output(given.output, source)
    set_up_logging("warning", config.log.format, stream=sys.stderr)
    with ExitStack() as opened:
        signals = opened.enter_context(Signals())
        held = opened.enter_context(ExitStack())
        held.enter_context(display())
        engine = opened.enter_context(Engine(config, Metrics(), dry_run=True))
        ledger = opened.enter_context(LedgerReader(engine.ledger.path))
        # A camera cannot wait. What is kept of it is kept as it is shown.
        pairs = Pairs(config.store.jpeg_quality, waits=source.rtsp is None)
        reading = Reading(engine, source, pairs, watch=watch)
        pictures = Pictures(ledger, engine.ledger.path.parent, source.max_pixels)
        hand = HandKept(output, source, pictures, config.store.jpeg_quality)
        print(escaped(f"Keys: h shows them; k puts the frame that is shown into {output}."))
        sys.stdout.flush()
        opened.callback(reading.end)
        window = opened.enter_context(Window(_SIZE))
        held.close()
        reading.start()
        viewer = Viewer(window, pairs, reading, hand, Cells(engine, source), pictures, ledger)
        viewer.run(signals)
        window.close()
        reading.end()
        interrupted = signals.stop.is_set()
    _print_summary(reading.tally, hand)
    if interrupted:
        return 130
    return 1 if reading.tally.fruitless else 0


# -- what to look at -------------------------------------------------------------------------------


def _asked(given: argparse.Namespace) -> tuple[Config, SourceConfig, bool]:
    """Returns the configuration for one source, the source, and whether to wait for new files."""
    what: str = given.what
    if "://" in what or Path(what).exists():
        config = with_overrides(load(given.config), given.set)
        config = config.model_copy(update={"sources": ()})
        source = sources_of([what], config, given.password_file, "view")[0]
        check_examples([source], config, given.config, given.set)
        return config.model_copy(update={"sources": (source,)}), source, False
    if given.password_file is not None:
        raise UsageError("view: --password-file is for a URL; a source of the file names its own")
    file = usual_config(given.config)
    config = with_overrides(load(file), given.set)
    named = {each.name: each for each in config.sources}
    if what not in named:
        told = "no configuration was found" if file is None else f"{file} has {_names(named)}"
        raise UsageError(
            f"view: {what}: no such file or folder, and no source of that name: {told}"
        )
    keys = [each.partition("=")[0].strip() for each in given.set]
    own = {key: getattr(config.defaults, key) for key in keys}
    source = named[what].model_copy(update=own)
    return config.model_copy(update={"sources": (source,)}), source, source.rtsp is None


def _names(named: dict[str, SourceConfig]) -> str:
    return ", ".join(named) if named else "none"


def _output(named: Path | None, source: SourceConfig) -> Path:
    folder = named or _OUTPUT
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"view: --output {folder}: is no folder")
    if not folder.absolute().parent.is_dir():
        raise UsageError(f"view: --output {folder}: there is no such directory above it")
    if named is not None and lies_in(folder, source):
        raise UsageError(f"view: --output {folder}: lies in what is read; name another folder")
    return folder


# -- what came of it -------------------------------------------------------------------------------


def _print_summary(tally: Tally, hand: HandKept) -> None:
    if not tally.frames and tally.error is not None:
        print(escaped(f"{tally.source}: {tally.error}"))
        return
    words = {Outcome.KEPT: "keep", Outcome.DROPPED: "drop"}
    lines = [f"{tally.source}: {counted(tally.frames, 'frame')} decided, no store was changed"]
    lines += by_outcome(tally.reasons, words)
    lines += [f"  failed   {failure}" for failure in tally.failures[:10]]
    if tally.error is not None:
        lines.append(f"  stopped  {tally.error}")
    if hand.files:
        lines.append(f"Kept by you   {counted(len(hand.files), 'frame')} in {hand.folder}")
    for line in lines:
        print(escaped(line))

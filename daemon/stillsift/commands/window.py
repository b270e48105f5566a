"""Shows pictures in a window of the desktop, and takes its keys. Says before why it cannot.

OpenCV's window ends the process where there is no display, so another process tries first.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from types import TracebackType
from typing import Self

import cv2

from ..arrays import Image
from ..escapes import escaped
from ..problems import Problem

_PATIENCE_S = 20.0
"""Seconds for a display in the network to answer."""
_NO_WARNINGS = "default.warning=false"
"""Qt warns five times that it brings no fonts, and the window writes with none of Qt's."""
_TRY = """
import sys, cv2
cv2.namedWindow("stillsift")
cv2.destroyWindow("stillsift")
print("opened", flush=True)
sys.stdin.read()
"""
"""Opens a window, and stays connected until its standard input ends: a server that nobody is
connected to begins anew, and takes no connection meanwhile."""
_KEYS = {
    27: "escape",
    32: "space",
    **dict.fromkeys((65361, 2424832), "left"),
    **dict.fromkeys((65363, 2555904), "right"),
    65360: "home",
    65367: "end",
}
"""Names of the keys that are no letter, by what Qt and GTK call them."""


class NoWindow(Problem):
    """Says why no window can be opened, and what to do."""

    exit_status = 2


_BROWSER = "look at a store in a browser instead (`stillsift review`)"
_ELSE = f"{_BROWSER}, or come with `ssh -X` or a remote desktop"


@contextmanager
def display() -> Iterator[None]:
    """Makes sure of a display on which windows can be opened, for the block.

    Raises NoWindow where there is none.
    """
    name = os.environ.get("DISPLAY")
    if not name and os.environ.get("WAYLAND_DISPLAY"):
        raise NoWindow(f"OpenCV's window needs X: DISPLAY is not set; install Xwayland, or {_ELSE}")
    if not name:
        raise NoWindow(f"there is no display: DISPLAY is not set; {_ELSE}")
    with TemporaryFile("w+", errors="replace") as told:
        trying = subprocess.Popen(
            [sys.executable, "-c", _TRY],
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            start_new_session=True,  # Ctrl-C is for this process
        )
        try:
            assert trying.stdout is not None
            answered, _, _ = select.select([trying.stdout], [], [], _PATIENCE_S)
            if not answered:
                raise NoWindow(
                    f"the display {name} does not answer within {_PATIENCE_S:g} s; {_ELSE}"
                )
            if not trying.stdout.readline():
                trying.wait()
                told.seek(0)
                raise NoWindow(reason_of(told.read(), name))
            yield
        finally:
            trying.kill()
            trying.communicate()


def reason_of(told: str, display: str) -> str:
    """Returns why a window could not be opened and what to do, from what OpenCV and Qt told."""
    if "could not connect to display" in told:
        return f"the display {display} cannot be reached; {_ELSE}"
    if "not implemented" in told:
        return (
            "this OpenCV was built without windows, as opencv-python-headless is; uninstall that, "
            f"then `pip install --force-reinstall opencv-python`; or {_BROWSER}"
        )
    lines = [line for line in told.splitlines() if line.strip()]
    last = " ".join(lines[-1].split()) if lines else "OpenCV does not say why"
    return f"no window can be opened on {display} ({last}); {_ELSE}"


def _environment() -> dict[str, str]:
    # The wheel's Qt knows X alone, whatever else the programs of this desktop are told to use.
    return {"QT_LOGGING_RULES": _NO_WARNINGS, **os.environ, "QT_QPA_PLATFORM": "xcb"}


class Window:
    """Holds one window. A context manager for the main thread; closing it twice is no error."""

    def __init__(self, size: tuple[int, int]) -> None:
        """`size`: (width, height) of the picture, in pixels, until somebody changes it."""
        os.environ.update(_environment())
        self._name = "stillsift"
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL
        cv2.namedWindow(self._name, flags)
        cv2.resizeWindow(self._name, *size)
        self._size = size
        self._title = ""

    @property
    def closed(self) -> bool:
        """Tells whether it is closed, by somebody who did so while `key` waited or by `close`."""
        try:
            return cv2.getWindowProperty(self._name, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # of Qt nothing is left with the last window
            return True

    @property
    def size(self) -> tuple[int, int]:
        """Gives the width and the height of its picture, in pixels."""
        _, _, width, height = cv2.getWindowImageRect(self._name)
        if width > 0 and height > 0:
            self._size = width, height
        return self._size

    def show(self, picture: Image, title: str) -> None:
        """Shows (height, width, 3) BGR pixels below a title."""
        cv2.imshow(self._name, picture)
        if title != self._title:
            cv2.setWindowTitle(self._name, escaped(title))
            self._title = title

    def key(self, wait_ms: int) -> str | None:
        """Returns the key that is pressed within some milliseconds: a letter, or a name.

        None: there was none, or one without a name. Also lets the window draw itself.
        """
        code = cv2.waitKeyEx(max(1, wait_ms))
        if code in _KEYS:
            return _KEYS[code]
        return chr(code) if 32 < code < 127 else None

    def close(self) -> None:
        if not self.closed:
            cv2.destroyWindow(self._name)
            cv2.waitKey(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self.close()

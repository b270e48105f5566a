"""A desktop without a screen: Xvfb, with somebody at its keys, who takes pictures of it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from running import until

IS_THERE = all(shutil.which(name) for name in ("Xvfb", "xdotool", "ffmpeg"))


class Display:
    """One X server of its own."""

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        self.name, self.size = name, size

    @property
    def environ(self) -> dict[str, str]:
        return {"DISPLAY": self.name}

    def _xdotool(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words],
            env=os.environ | self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        return done.stdout.strip()

    @property
    def window(self) -> str:
        """The id of the window of `view`; "" while there is none."""
        return self._xdotool("search", "--onlyvisible", "--name", "^stillsift view").partition(
            "\n"
        )[0]

    @property
    def title(self) -> str:
        """The title of that window; "" while there is none."""
        window = self.window
        return self._xdotool("getwindowname", window) if window else ""

    def shows(self, text: str) -> None:
        """Wait for a title that ends with a text."""
        until(lambda: self.title.endswith(text), f"a window of {text!r}")

    def shows_frame(self, number: int) -> None:
        """Wait for the frame with a number, from 1 on."""
        until(lambda: f" - {number} " in self.title, f"frame {number}, not {self.title!r}")

    def press(self, *keys: str) -> None:
        """Press keys one after the other, by their names in X, in the window of `view`."""
        window = self.window
        assert window, "no window to press keys in"
        self._xdotool("windowfocus", "--sync", window)
        self._xdotool("key", "--delay", "80", *keys)

    def draw_anew(self) -> None:
        """Hide and show the window. Where no window manager runs, Qt sometimes misses that its
        window can be seen, and leaves it black."""
        window = self.window
        self._xdotool("windowunmap", "--sync", window)
        self._xdotool("windowmap", "--sync", window)

    def resize(self, width: int, height: int) -> None:
        self._xdotool("windowsize", "--sync", self.window, str(width), str(height))

    def close_window(self) -> None:
        """Ask the window to close, as the button of a window manager does."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        for name in ("XInternAtom", "XSendEvent", "XFlush", "XCloseDisplay"):
            getattr(x11, name).argtypes = None
        display = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        x11.XInternAtom.restype = ctypes.c_ulong
        event = _ClientMessage()
        event.type, event.window, event.format = 33, int(self.window), 32
        event.message_type = x11.XInternAtom(display, b"WM_PROTOCOLS", 0)
        event.data[0] = x11.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
        x11.XSendEvent(display, ctypes.c_ulong(event.window), 0, 0, ctypes.byref(event))
        x11.XFlush(display)
        x11.XCloseDisplay(display)

    def picture(self, file: Path) -> NDArray[np.uint8]:
        """What the whole screen shows, (height, width, 3) BGR; `file`: a PNG to write it to."""
        width, height = self.size
        grab = ("-f", "x11grab", "-draw_mouse", "0", "-video_size", f"{width}x{height}")
        subprocess.run(
            ["ffmpeg", "-loglevel", "error", "-y", *grab, "-i", self.name, "-frames:v", "1", file],
            check=True,
            timeout=30,
        )
        return np.asarray(cv2.imread(str(file)), np.uint8)


class _ClientMessage(ctypes.Structure):
    """XClientMessageEvent, as large as any XEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("pad", ctypes.c_long * 12),
    )


@contextmanager
def display(size: tuple[int, int] = (1400, 900)) -> Iterator[Display]:
    """An X server that ends with the block."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        [
            *("Xvfb", "-displayfd", str(writer), "-screen", "0", f"{size[0]}x{size[1]}x24"),
            *("-nolisten", "tcp", "-noreset"),
        ],
        pass_fds=(writer,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            number = told.readline().strip()  # once it listens
        assert number, "Xvfb did not start"
        yield Display(f":{number}", size)
    finally:
        server.terminate()
        server.wait(20)

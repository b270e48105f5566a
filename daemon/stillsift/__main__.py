"""Starts the command, called as `stillsift`, `python -m stillsift` or `python daemon`."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import resource
import sys
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Numbers of these options in glibc's malloc.h."""
_ARRAY = 4 << 20
"""Bytes of a picture of 640 pixels as floats, in three channels."""


def main() -> int:
    """Runs the command line; reports a missing library or dependency in one sentence.

    Returns the exit status. Any other ImportError is raised.
    """
    try:
        return _run()
    except KeyboardInterrupt:  # while it is imported, which takes up to a second
        print("stillsift: interrupted", file=sys.stderr)
        return 130


def _run() -> int:
    # Not above, where Ctrl-C would show a traceback.
    from stillsift.system_libraries import explain_import_error

    # A crash in native code, or the SIGABRT of a watchdog, then prints every thread's stack.
    faulthandler.enable()
    with suppress(OSError, ValueError):
        # A core dump would hold the passwords of the cameras.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(AttributeError):  # no glibc
        # It takes up to 8 pools of memory for each core, and every thread leaves holes in one. A
        # source that was opened 200 times took 81 to 91 MB with 2 pools, and 87 to 110 with 16.
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 2)
        # It gives the memory of each array back to the kernel, which then fills it with zeros for
        # the next one. On 300 photographs that took 6 % of the user's CPU and half of the system's.
        libc.mallopt(_M_MMAP_THRESHOLD, _ARRAY)
        libc.mallopt(_M_TRIM_THRESHOLD, 8 * _ARRAY)
    # What is imported stays. Looking for garbage among it took a tenth of the CPU of the start;
    # the command line sets it aside and lets it be looked for among what comes after.
    gc.disable()
    # Imported here because importing the command line may import cv2, which fails on a bare
    # server.
    try:
        from stillsift.cli import main as command

        return command()
    except ImportError as error:
        explanation = explain_import_error(error)
        if explanation is None:
            raise
        print(f"stillsift: {explanation}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

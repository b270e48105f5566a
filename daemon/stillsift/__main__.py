"""Where the `stillsift` command begins: `stillsift`, `python -m stillsift`, `python daemon`."""

from __future__ import annotations

import faulthandler
import sys

from stillsift.system_libraries import explain_import_error


def main() -> int:
    """Run the command line; a missing library or dependency is one sentence, not a traceback."""
    # A crash in native code, or the SIGABRT of a watchdog, leaves every thread's stack behind.
    faulthandler.enable()
    # Imported here because importing the command line may import cv2, and on a bare server that
    # is what fails.
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

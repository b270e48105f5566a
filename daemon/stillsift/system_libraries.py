"""Finds the shared libraries of the system that are missing, and the packages that have them.

opencv-python's wheels bring most of what they need, but not libGL, GLib and the X client
libraries, and a bare server has none of those. Python then reports an ImportError from deep
inside cv2; this module turns it into one sentence. It imports only the standard library, so that
it still works when the other imports fail.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path(__file__).with_name("system_libraries.txt")

_MISSING_LIBRARY = re.compile(r"(?P<library>\S+\.so[.\w]*): cannot open shared object file")
"""Message of glibc's loader. musl has another one, but no dependency has musl wheels."""

_DISTRIBUTIONS = {
    "PIL": "pillow",
    "av": "av",
    "bcrypt": "bcrypt",
    "cv2": "opencv-python",
    "google": "protobuf",
    "jinja2": "jinja2",
    "natsort": "natsort",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime-gpu (x86-64) or onnxruntime",
    "pi_heif": "pi-heif",
    "prometheus_client": "prometheus-client",
    "pydantic": "pydantic",
    "rawpy": "rawpy",
    "rich": "rich",
    "starlette": "starlette",
    "threadpoolctl": "threadpoolctl",
    "uvicorn": "uvicorn",
    "watchdog": "watchdog",
    "yaml": "pyyaml",
}
"""The name a module is imported by, and the name it is installed by."""


@dataclass(frozen=True, slots=True)
class MissingLibrary:
    """Describes a shared library that the loader does not find."""

    name: str
    """Name that the loader knows: `libGL.so.1`."""
    package: str
    """The Debian package that has it: `libgl1`."""


def packages() -> Mapping[str, str]:
    """Returns the Debian package of each shared library, in the order of the table."""
    rows = _TABLE.read_text(encoding="utf-8").splitlines()
    columns = [row.split() for row in rows if row and not row.startswith("#")]
    return {column[0]: column[1] for column in columns}


def missing_libraries() -> list[MissingLibrary]:
    """Returns every library of the table that is missing here, in the order of the table."""
    return [
        MissingLibrary(name, package) for name, package in packages().items() if _is_missing(name)
    ]


def explain_import_error(error: ImportError) -> str | None:
    """Returns one sentence that names what is missing and the remedy.

    None: the error is neither a missing system library nor a missing dependency. It is then a
    programming mistake, and its traceback should be shown.
    """
    if isinstance(error, ModuleNotFoundError):
        return _explain_missing_module(error.name)
    found = _MISSING_LIBRARY.search(str(error))
    return _explain_missing_library(found["library"]) if found else None


def _explain_missing_library(library: str) -> str:
    # The loader stops at the first library it misses. Naming the others too saves a person from
    # installing them one failed start at a time.
    known = packages()
    wanted = [known[library]] if library in known else []
    wanted += [missing.package for missing in missing_libraries()]
    if library not in known:
        return (
            f"the system library {library} is missing, and it is none that stillsift knows a "
            f"package for. On Debian, `apt-file search {library}` names the package to install."
        )
    command = "apt-get install " + " ".join(dict.fromkeys(wanted))
    return f"the system library {library} is missing. On Debian and Ubuntu install it: {command}"


def _explain_missing_module(module: str | None) -> str | None:
    top = (module or "").partition(".")[0]
    if top not in _DISTRIBUTIONS:
        return None
    return (
        f"the Python package {_DISTRIBUTIONS[top]} is missing. In a clone `./demo` installs "
        "everything into .venv, then run .venv/bin/stillsift; elsewhere: pip install stillsift"
    )


def _is_missing(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError as error:
        # A library that is here but needs a missing one fails too: the message names the missing.
        return str(error).startswith(library)
    return False

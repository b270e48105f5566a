"""Opens an ONNX file as an onnxruntime session, on the CPU or a GPU.

What opens embedders opens detectors. Errors of onnxruntime become a `ModelError` (a file that
cannot be used at all, exit status 78) or an `InferenceError` (one picture that failed).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import onnxruntime as ort  # type: ignore[import-untyped]  # ships no types
from onnxruntime.capi import onnxruntime_pybind11_state  # type: ignore[import-untyped]  # ships no types

from ..problems import Problem
from .manifest import ModelError

Provider = Literal["cpu", "cuda"]


ORT_ERRORS: Final[tuple[type[Exception], ...]] = (
    *(
        error
        for error in vars(onnxruntime_pybind11_state).values()
        if isinstance(error, type) and issubclass(error, Exception)
    ),
    RuntimeError,
    ValueError,
)
"""All errors of onnxruntime. They have no common base; its Python part raises the two built-ins."""

_FATAL = 4
"""Level of onnxruntime's own log, to standard error; the exceptions say more than the log."""
ort.set_default_logger_severity(_FATAL)


class InferenceError(Problem):
    """Says that the model could not take one picture."""


# -------------------------------------------------------------------------------------- providers


def cuda_problem() -> str | None:
    """Tells why CUDA cannot be used here, as a clause; None: it can.

    onnxruntime-gpu lists CUDA on every machine and prints errors when it is used without a device.
    So the driver is asked first.
    """
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return f"onnxruntime {ort.__version__} is built without CUDA; install onnxruntime-gpu"
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver (libcuda.so.1)"
    devices = ctypes.c_int(0)
    if (status := driver.cuInit(0)) or (status := driver.cuDeviceGetCount(ctypes.byref(devices))):
        return f"the NVIDIA driver finds no device (CUDA error {status})"
    return None if devices.value else "the NVIDIA driver finds no device"


def providers() -> tuple[Provider, ...]:
    """Returns where models can run here, the fastest first."""
    return ("cpu",) if cuda_problem() else ("cuda", "cpu")


# ----------------------------------------------------------------------------------------- a file


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Describes a file that is to be opened."""

    path: Path
    sha256: str | None
    """Hash (hex) that it has to have; None: a file of the user's own, which is not checked."""
    bytes: int | None
    key: str
    """Key of the configuration that describes such a file, as errors name it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Holds an open session, and where it runs."""

    session: ort.InferenceSession
    provider: Provider
    why: str | None
    """Reason why it runs there, as a clause; None: the configuration says so."""


def opened(file: ModelFile, provider: Literal["auto", "cpu", "cuda"], threads: int) -> Opened:
    """Opens a file once its SHA-256 is right.

    `auto` takes the GPU where one answers, and otherwise the CPU without an error. Raises
    ModelError for `cuda` without a GPU, and for a file that is not the one described.
    """
    content = _checked(file)
    if provider == "cpu":
        return Opened(_session(file, content, "cpu", threads), "cpu", None)
    reason = cuda_problem()
    if reason is None:
        try:
            session = _session(file, content, "cuda", threads)
            return Opened(session, "cuda", None if provider == "cuda" else "a GPU answers")
        except ModelError as error:
            if provider == "cuda":
                raise
            reason = f"there is a GPU, but {error}"
    elif provider == "cuda":
        raise ModelError(
            f"{file.path}: {file.key}.provider is cuda, and {reason}; "
            "set it to auto or cpu, or mend the driver"
        )
    return Opened(_session(file, content, "cpu", threads), "cpu", reason)


def read(path: Path) -> bytes:
    """Returns the bytes of a file. Raises ModelError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def digest_of(path: Path) -> bytes:
    """Returns the SHA-256 of a file, which may be large. Raises ModelError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def _checked(file: ModelFile) -> bytes | None:
    """Returns the content of the file once its SHA-256 is right; None: any file is allowed.

    Raises ModelError.
    """
    if file.sha256 is None:
        if not file.path.is_file():
            raise ModelError(f"{file.path}: there is no such file; correct {file.key}.path")
        return None  # onnxruntime opens it by its path: weights may be in files beside it
    content = read(file.path)
    if (found := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise ModelError(
            f"{file.path}: {len(content)} bytes with SHA-256 {found}, where manifest.yaml says "
            f"{file.bytes} bytes with {file.sha256}: a damaged file or another model; install "
            f"stillsift again, or name a model of your own as {file.key}.path"
        )
    return content


def _session(
    file: ModelFile, content: bytes | None, provider: Provider, threads: int
) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A memory plan is stored for each input shape, and pictures come in many shapes: measured over
    # 300 shapes, resident memory grows by 0.2 MB without plans, by 2 MB with them.
    options.enable_mem_pattern = False
    # Threads that spin while they wait for work take the core from the decoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = content if content is not None else str(file.path)
    chosen: list[Any] = ["CPUExecutionProvider"]
    if provider == "cuda":
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()  # from the nvidia packages; prints those that it does not find
        # An exhaustive search would run again for each shape; TF32 has only 10 of the 23 bits.
        cuda = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
        chosen.insert(0, ("CUDAExecutionProvider", cuda))
    try:
        session = ort.InferenceSession(model, options, providers=chosen, enable_fallback=0)
    except ORT_ERRORS as error:
        raise ModelError(f"{file.path}: onnxruntime cannot open it: {sentence(error)}") from error
    if provider == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        raise ModelError(
            f"{file.path}: a GPU is there, but onnxruntime cannot load its CUDA libraries; "
            f"pip install 'onnxruntime-gpu[cuda,cudnn]', or set {file.key}.provider to cpu"
        )
    return session


def sentence(error: Exception) -> str:
    """Returns onnxruntime's message on one line, without the numbers in brackets at its start."""
    return " ".join(str(error).split("] : ")[-1].split(" : ", 2)[-1].split()) or repr(error)

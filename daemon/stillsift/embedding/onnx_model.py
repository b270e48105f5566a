"""Opens a model as an onnxruntime session, on the CPU or a GPU, and runs it.

Only this folder imports onnxruntime. Its errors become a `ModelError` (a model that cannot be used
at all, exit status 78) or an `InferenceError` (one picture that failed).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]  # ships no types
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state  # type: ignore[import-untyped]  # ships no types

from ..problems import Problem
from .contract import agreed
from .manifest import ModelError, ModelSpec

log = logging.getLogger(__name__)

Provider = Literal["cpu", "cuda"]


_ORT_ERRORS: Final[tuple[type[Exception], ...]] = (
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


# --------------------------------------------------------------------------------------- a model


class Model:
    """Runs an open model. May be used by several threads at once."""

    def __init__(
        self, spec: ModelSpec, provider: Provider, session: ort.InferenceSession, why: str | None
    ) -> None:
        self.spec = spec
        """The description given to `load`, completed from the file (names and input type)."""
        self.provider = provider
        self.why = why
        """Reason why it runs there, as a clause; None: the configuration says so."""
        self._session = session
        self._outputs = [spec.embedding.name] + ([spec.grid.name] if spec.grid else [])

    def run(
        self, image: NDArray[np.uint8] | NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Returns the embedding and the grid of a batch of one; None: the model has no grid.

        `image` has the layout and type of `spec.input`. Raises InferenceError.
        """
        try:
            outputs = self._session.run(self._outputs, {self.spec.input.name: image})
        except _ORT_ERRORS as error:
            raise InferenceError(f"{self.spec.name}: {_sentence(error)}") from error
        return outputs[0], outputs[1] if self.spec.grid else None


def load(
    spec: ModelSpec, provider: Literal["auto", "cpu", "cuda"] = "auto", threads: int = 1
) -> Model:
    """Opens a model and checks it against its description.

    `auto` takes the GPU where one answers, and otherwise the CPU without an error. Raises
    ModelError for `cuda` without a GPU, and for everything that differs from `spec`.
    """
    content = _checked(spec)
    if provider == "cpu":
        return _opened(spec, content, "cpu", threads, None)
    reason = cuda_problem()
    if reason is None:
        try:
            why = None if provider == "cuda" else "a GPU answers"
            return _opened(spec, content, "cuda", threads, why)
        except ModelError as error:
            if provider == "cuda":
                raise
            reason = f"there is a GPU, but {error}"
    elif provider == "cuda":
        raise ModelError(
            f"{spec.path}: model.provider is cuda, and {reason}; "
            "set it to auto or cpu, or mend the driver"
        )
    return _opened(spec, content, "cpu", threads, reason)


@dataclass(frozen=True, slots=True)
class Verified:
    """Describes a model that was opened, checked and run once on a blank picture."""

    spec: ModelSpec
    provider: Provider
    sha256: str
    embedding: tuple[int, ...]
    """Shape for one picture."""
    grid: tuple[int, ...] | None
    """Shape for one picture; None: the model has no grid."""


def verify(
    spec: ModelSpec, provider: Literal["auto", "cpu", "cuda"] = "auto", threads: int = 1
) -> Verified:
    """Opens a model, runs it on a blank picture and describes the result. Raises ModelError."""
    model = load(spec, provider, threads)
    given = model.spec.input
    width, height = given.size or (16 * given.multiple, 9 * given.multiple)
    shape = (1, height, width, 3) if given.layout == "nhwc" else (1, 3, height, width)
    try:
        embedding, grid = model.run(np.zeros(shape, given.dtype))
    except InferenceError as error:
        raise ModelError(f"{spec.path}: it cannot be run: {error}") from error
    return Verified(
        model.spec,
        model.provider,
        spec.sha256 or hashlib.sha256(_read(spec.path)).hexdigest(),
        tuple(embedding.shape),
        None if grid is None else tuple(grid.shape),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def _checked(spec: ModelSpec) -> bytes | None:
    """Returns the content of the file once its SHA-256 is right; None: any file is allowed.

    Raises ModelError.
    """
    if spec.sha256 is None:
        if not spec.path.is_file():
            raise ModelError(f"{spec.path}: there is no such file; correct model.path")
        return None  # onnxruntime opens it by its path: weights may be in files beside it
    content = _read(spec.path)
    if (found := hashlib.sha256(content).hexdigest()) != spec.sha256:
        raise ModelError(
            f"{spec.path}: {len(content)} bytes with SHA-256 {found}, where manifest.yaml says "
            f"{spec.bytes} bytes with {spec.sha256}: a damaged file or another model; install "
            "stillsift again, or name a model of your own as model.path"
        )
    return content


def _opened(
    spec: ModelSpec, content: bytes | None, provider: Provider, threads: int, why: str | None
) -> Model:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A memory plan is stored for each input shape, and pictures come in many shapes: measured over
    # 300 shapes, resident memory grows by 0.2 MB without plans, by 2 MB with them.
    options.enable_mem_pattern = False
    # Threads that spin while they wait for work take the core from the decoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = _session(spec, content if content is not None else str(spec.path), provider, options)
    return Model(agreed(spec, session), provider, session, why)


def _session(
    spec: ModelSpec, model: bytes | str, provider: Provider, options: ort.SessionOptions
) -> ort.InferenceSession:
    chosen: list[Any] = ["CPUExecutionProvider"]
    if provider == "cuda":
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()  # from the nvidia packages; prints those that it does not find
        # An exhaustive search would run again for each shape; TF32 has only 10 of the 23 bits.
        cuda = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
        chosen.insert(0, ("CUDAExecutionProvider", cuda))
    try:
        session = ort.InferenceSession(model, options, providers=chosen, enable_fallback=0)
    except _ORT_ERRORS as error:
        raise ModelError(f"{spec.path}: onnxruntime cannot open it: {_sentence(error)}") from error
    if provider == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        raise ModelError(
            f"{spec.path}: a GPU is there, but onnxruntime cannot load its CUDA libraries; "
            "pip install 'onnxruntime-gpu[cuda,cudnn]', or set model.provider to cpu"
        )
    return session


def _sentence(error: Exception) -> str:
    """Returns onnxruntime's message on one line, without the numbers in brackets at its start."""
    return " ".join(str(error).split("] : ")[-1].split(" : ", 2)[-1].split()) or repr(error)

"""Reads manifest.yaml: what is known of each model before its file is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..problems import Problem

Dtype = Literal["uint8", "float32"]
Layout = Literal["nhwc", "nchw"]
Described = TypeVar("Described", bound=BaseModel)

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML was built with it: reading the manifest takes a ninth of the time."""


class ModelError(Problem):
    """Says that a model cannot be used; the message names the file, the reason and the remedy."""

    exit_status = 78


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Describes how a picture is put into a model."""

    name: str | None = None
    """Name of the input; None: the only input there is."""
    dtype: Dtype | None = None
    """Type of the values. uint8: raw 0-255, the graph normalises. None: what the file says."""
    layout: Layout = "nhwc"
    channels: Literal["rgb", "bgr"] = "rgb"
    size: tuple[int, int] | None = None
    """(width, height) that every picture is squeezed to; None: the picture keeps its shape."""
    pixels: int = 288 * 160
    """Approximate number of pixels that a picture is scaled to if it keeps its shape."""
    multiple: int = 16
    """Number that divides both sides of such a picture."""
    scale: float = 1 / 255
    """float32 only: factor on the 0-255 values, before mean and std."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """float32 only: values subtracted after scaling, in the order of `channels`."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """float32 only: divisors of what is left, in the order of `channels`."""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """Describes one output of a model."""

    name: str | None = None
    """Name of the output; None: the only one with one vector for each picture."""
    shape: tuple[int | None, ...] | None = None
    """Shape; None in it: any size. None for all of it: any shape that fits the output's role."""


@dataclass(frozen=True, slots=True)
class TagsSpec:
    """Describes the classifier that makes tags of what a model gives."""

    path: Path
    sha256: str
    """Hash (hex) of the file."""
    bytes: int
    purpose: str
    licence: str
    source: str

    @property
    def name(self) -> str:
        """Gives the name by which it is listed."""
        return self.path.stem


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Describes everything that is known of one model before its file is opened."""

    name: str
    path: Path
    cell_limit: float
    """Distance from which a cell counts as changed; valid only for this model."""
    input: InputSpec = InputSpec()
    embedding: OutputSpec = OutputSpec()
    grid: OutputSpec | None = None
    """Output with one vector for each cell, in the layout of the input; None: there is none, and
    small objects will be missed."""
    length: OutputSpec | None = None
    """Output with the length that the embedding had; None: there is none, nor are there tags."""
    tags: TagsSpec | None = None
    """What makes tags of the embedding; None: nothing does."""
    sha256: str | None = None
    """Hash (hex) of the file; None: a model of the user's own, whose file is not checked."""
    bytes: int | None = None
    """Size of the file; None: a model of the user's own."""
    purpose: str = ""
    licence: str = ""
    source: str = ""
    described_by: str = "model.custom"
    """Key of the configuration that describes a model of the user's own, as errors name it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Input(_Strict):
    name: str
    dtype: Dtype
    layout: Literal["NHWC", "NCHW"]
    colour: Literal["RGB", "BGR"]
    pixels: int = Field(ge=1024)
    multiple: int = Field(ge=1, le=64)


class _Output(_Strict):
    name: str
    dtype: Literal["float32"]
    shape: tuple[Annotated[int, Field(ge=1)] | Literal["N", "H", "W"], ...]

    def spec(self) -> OutputSpec:
        return OutputSpec(self.name, tuple(d if isinstance(d, int) else None for d in self.shape))


class _Outputs(_Strict):
    embedding: _Output
    grid: _Output | None = None
    length: _Output | None = None


class _Tags(_Strict):
    purpose: str
    file: str = Field(pattern=r"^[\w.-]+\.onnx$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=1)
    licence: str
    source: str

    def spec(self, folder: Path) -> TagsSpec:
        told = (self.sha256, self.bytes, self.purpose, self.licence, self.source)
        return TagsSpec(folder / self.file, *told)


class _Entry(_Strict):
    purpose: str
    file: str = Field(pattern=r"^[\w.-]+\.onnx$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=1)
    input: _Input
    outputs: _Outputs
    cell_limit: float = Field(gt=0)
    licence: str
    source: str
    tags: _Tags | None = None

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if self.tags is not None and self.outputs.length is None:
            raise ValueError("tags need the output length")
        return self

    def spec(self, name: str, folder: Path) -> ModelSpec:
        given = self.input
        return ModelSpec(
            name=name,
            path=folder / self.file,
            cell_limit=self.cell_limit,
            input=InputSpec(
                name=given.name,
                dtype=given.dtype,
                layout="nhwc" if given.layout == "NHWC" else "nchw",
                channels="rgb" if given.colour == "RGB" else "bgr",
                pixels=given.pixels,
                multiple=given.multiple,
            ),
            embedding=self.outputs.embedding.spec(),
            grid=None if self.outputs.grid is None else self.outputs.grid.spec(),
            length=None if self.outputs.length is None else self.outputs.length.spec(),
            tags=None if self.tags is None else self.tags.spec(folder),
            sha256=self.sha256,
            bytes=self.bytes,
            purpose=self.purpose,
            licence=self.licence,
            source=self.source,
        )


class _Manifest(_Strict):
    models: dict[str, _Entry] = Field(min_length=1)
    detectors: dict[str, Any] = {}
    """What `detection` reads."""


def manifest_path() -> Path:
    """Returns the path of manifest.yaml: inside the package, or in models/ of a clone."""
    inside = Path(__file__).parents[1] / "_models" / "manifest.yaml"
    return inside if inside.exists() else Path(__file__).parents[3] / "models" / "manifest.yaml"


def manifest(path: Path | None = None) -> dict[str, ModelSpec]:
    """Returns the models of the manifest by name. Raises ModelError with every mistake."""
    path = path or manifest_path()
    entries = described(path, _Manifest).models
    return {name: entry.spec(name, path.parent) for name, entry in entries.items()}


def described(path: Path, as_what: type[Described]) -> Described:
    """Returns the content of a manifest as checked values. Raises ModelError with every mistake."""
    try:
        return as_what.model_validate(yaml.load(path.read_text("utf-8"), Loader=_LOADER))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; install stillsift again") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not YAML ({error}); install stillsift again") from error
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(map(str, mistake['loc'])) or 'the file'}: {mistake['msg']}"
            for mistake in error.errors()
        )
        raise ModelError(f"{path}: {mistakes}; install stillsift again") from error

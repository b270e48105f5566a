"""Chooses the embedder that the configuration asks for, and opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..config import Config
from ..config.settings import ModelSettings
from ..embedding import ModelError
from ..embedding.manifest import InputSpec, ModelSpec, OutputSpec, manifest, manifest_path
from ..embedding.onnx_file import providers
from ..embedding.onnx_model import Model, load
from ..embedding.text_pair import TextPair, TextPairSpec

CPU_MODEL: Final = "efficientnet-lite0-trunk-int8"
CUDA_MODEL: Final = "efficientnet-lite0-fp32"


def spec_of(settings: ModelSettings) -> ModelSpec:
    """Returns the model that the configuration asks for. Raises ModelError for an unknown name."""
    if settings.path is not None:
        return _custom(settings, settings.path)
    known = manifest()
    name = settings.name
    if name == "auto":
        name = CUDA_MODEL if settings.provider != "cpu" and "cuda" in providers() else CPU_MODEL
    if name not in known:
        raise ModelError(
            f"{manifest_path()}: there is no model {name}; "
            f"model.name can be auto, {', '.join(sorted(known))}"
        )
    return known[name]


def _custom(settings: ModelSettings, path: Path) -> ModelSpec:
    custom = settings.custom
    if custom.cell_limit is None:
        raise ModelError(f"{path}: model.custom.cell_limit is missing, and nobody else knows it")
    return ModelSpec(
        name=path.stem,
        path=path,
        cell_limit=custom.cell_limit,
        input=InputSpec(
            layout=custom.layout,
            channels=custom.channels,
            size=custom.size,
            scale=custom.scale,
            mean=custom.mean,
            std=custom.std,
        ),
        embedding=OutputSpec(custom.embedding),
        grid=None if custom.grid is None else OutputSpec(custom.grid),
        purpose="Named in the configuration.",
    )


def without_tags(spec: ModelSpec) -> str | None:
    """Tells why a model gives no tags, and the way out, as a clause; None: it gives them."""
    if spec.tags is not None:
        return None
    tagging = [name for name, each in manifest().items() if each.tags is not None]
    return (
        f"the model {spec.name} gives no tags; set model.name to {' or '.join(tagging)}, which "
        "costs three times the CPU of the small one"
    )


def open_pair(config: Config) -> TextPair | None:
    """Opens the pair by which texts are searched for; None: none is named. Raises ModelError."""
    given = config.search
    if given.image is None or given.text is None or given.tokenizer is None:
        return None
    for key, path in (("image", given.image), ("text", given.text), ("tokenizer", given.tokenizer)):
        if not path.is_file():
            raise ModelError(f"{path}: there is no such file; correct search.{key}")
    spec = TextPairSpec(
        *(given.image, given.text, given.tokenizer),
        InputSpec(layout="nchw", size=given.size, mean=given.mean, std=given.std),
        given.tokens,
    )
    return TextPair(spec, config.model.provider, config.model.threads)


def open_model(settings: ModelSettings) -> Model:
    """Opens the model of the configuration. Raises ModelError.

    With a name and a provider of `auto`, a GPU whose libraries turn out to be missing gives the
    CPU's model on the CPU, not the GPU's.
    """
    model = load(spec_of(settings), settings.provider, settings.threads)
    if settings.path is None and settings.name == "auto" and settings.provider == "auto":
        wanted = CUDA_MODEL if model.provider == "cuda" else CPU_MODEL
        if model.spec.name != wanted:
            why, model = model.why, load(manifest()[wanted], "cpu", settings.threads)
            model.why = why
    return model

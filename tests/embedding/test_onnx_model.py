from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
import yaml
from onnx import helper

import tiny_onnx
from stillsift.config.settings import CustomModel, ModelSettings
from stillsift.detection import detectors
from stillsift.embedding import ModelError, onnx_file, onnx_model
from stillsift.embedding.manifest import InputSpec, ModelSpec, OutputSpec, manifest
from stillsift.embedding.onnx_file import InferenceError
from stillsift.pipeline import model_choice
from stillsift.pipeline.model_choice import CPU_MODEL, CUDA_MODEL

MODELS = Path(__file__).parents[2] / "models"
needs_no_gpu = pytest.mark.skipif(
    onnx_file.cuda_problem() is None, reason="this machine has a CUDA device"
)


def own(path: Path, **changes: Any) -> ModelSpec:
    """The description of a user's float32 NCHW model of 48x32 pixels."""
    spec = ModelSpec("own", path, 0.3, input=InputSpec(layout="nchw", size=(48, 32)))
    return replace(spec, **changes)


def refusal(spec: ModelSpec, provider: Any = "cpu") -> str:
    """What `load` says, without the file's path, which has to come first."""
    with pytest.raises(ModelError) as caught:
        onnx_model.load(spec, provider)
    assert caught.value.exit_status == 78
    message = str(caught.value)
    assert message.startswith(f"{spec.path}: ")
    return message.removeprefix(f"{spec.path}: ")


# ------------------------------------------------------------------------------------ the manifest


def test_the_manifest_describes_every_model_that_comes_along() -> None:
    specs = manifest(MODELS / "manifest.yaml")
    tags = {each.tags.name: each.tags for each in specs.values() if each.tags is not None}
    all_specs = specs | tags | detectors(MODELS / "manifest.yaml")
    assert {spec.path for spec in all_specs.values()} == set(MODELS.glob("*.onnx"))
    for name, spec in all_specs.items():
        content = spec.path.read_bytes()
        assert (spec.name, spec.bytes) == (name, len(content))
        assert spec.licence.startswith("MIT" if "centerface" in name else "Apache-2.0")
        assert spec.sha256 == hashlib.sha256(content).hexdigest()
        assert spec.purpose
        assert spec.source


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry.pop(key)


def giving(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry.update({key: value})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without("sha256"), "sha256: Field required"),
        (giving("sha256", "feed"), "sha256: String should match pattern"),
        (giving("cell_limit", 0), "cell_limit: Input should be greater than 0"),
        (giving("license", "MIT"), "license: Extra inputs are not permitted"),
        (giving("file", "../outside.onnx"), "file: String should match pattern"),
        (
            giving("input", {"name": "image", "dtype": "int64"}),
            "input.dtype: Input should be 'uint8' or 'float32'",
        ),
    ],
)
def test_a_mistake_in_the_manifest_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    content = yaml.safe_load((MODELS / "manifest.yaml").read_text())
    change(content["models"][CPU_MODEL])
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ModelError) as caught:
        manifest(path)
    assert f"{path}: models.{CPU_MODEL}.{reason}" in str(caught.value)
    assert "install stillsift again" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"models: {", "not YAML"),
        (b"\xff\xfe\xff", "not YAML"),
        (b"", "the file: Input should be"),
        (b"models: {}", "models: Dictionary should have at least 1 item"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "manifest.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        manifest(path)
    assert str(caught.value).startswith(f"{path}: {reason}")


# ----------------------------------------------------------------------------- models of our own


@pytest.mark.parametrize("name", [CPU_MODEL, CUDA_MODEL])
def test_a_model_is_opened_and_gives_what_the_manifest_says(name: str) -> None:
    spec = manifest()[name]
    model = onnx_model.load(spec, "cpu")
    assert model.provider == "cpu"
    assert model.spec == spec
    for height, width in ((160, 288), (96, 48)):
        embedding, grid, length = model.run(np.full((2, height, width, 3), 90, np.uint8))
        assert spec.embedding.shape is not None
        assert embedding.shape == (2, spec.embedding.shape[-1])
        np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)
        assert grid is not None
        assert grid.shape == (2, height // 16, width // 16, 112)
        assert (None if length is None else length.shape) == (None if name == CPU_MODEL else (2, 1))


def test_another_file_than_the_manifests_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    spec = manifest()[CPU_MODEL]
    damaged = bytearray(spec.path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path = tmp_path / "damaged.onnx"
    path.write_bytes(damaged)
    message = refusal(replace(spec, path=path))
    assert f"{spec.bytes} bytes with SHA-256 {hashlib.sha256(damaged).hexdigest()}" in message
    assert f"manifest.yaml says {spec.bytes} bytes with {spec.sha256}" in message
    assert "install stillsift again" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.onnx"
    spec = replace(manifest()[CPU_MODEL], path=path)
    assert refusal(spec) == "cannot be read: No such file or directory"
    assert refusal(own(path)) == "there is no such file; correct model.path"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"input": InputSpec(name="picture")}, "its input is image, not picture"),
        (
            {"input": InputSpec(dtype="float32")},
            "its input image is tensor(uint8), where float32 is wanted",
        ),
        (
            {"input": InputSpec(layout="nchw")},
            "its input image has shape (batch, height, width, 3), which is not NCHW",
        ),
        (
            {"embedding": OutputSpec("features")},
            "it has no output features for the embedding; there is grid, embedding",
        ),
        (
            {"embedding": OutputSpec("embedding", (None, 1280))},
            "its output embedding has shape (batch, 112), not (any, 1280)",
        ),
        (
            {"grid": OutputSpec("grid", (None, None, None, 64))},
            "its output grid has shape (batch, rows, columns, 112), not (any, any, any, 64)",
        ),
        (
            {"grid": OutputSpec("embedding")},
            "its output embedding has shape (batch, 112), not a shape for the grid",
        ),
    ],
)
def test_a_file_that_is_not_as_described_is_refused(change: dict[str, Any], reason: str) -> None:
    spec = replace(manifest()[CPU_MODEL], **change)
    assert refusal(spec).startswith(reason)


# -------------------------------------------------------------------------- a user's own models


def test_what_is_left_open_is_read_from_the_file(tmp_path: Path) -> None:
    model = onnx_model.load(own(tiny_onnx.float_nchw(tmp_path / "own.onnx")), "cpu")
    assert (model.spec.input.name, model.spec.input.dtype) == ("pixels", "float32")
    assert model.spec.embedding.name == "vector"
    assert model.run(np.ones((1, 3, 32, 48), np.float32))[1] is None


def second(name: str) -> Any:
    return helper.make_node("Identity", ["vector"], [name])


CAST = helper.make_node("Cast", ["vector"], ["double"], to=tiny_onnx.DOUBLE)
PAIR = [("vector", tiny_onnx.FLOAT, ("batch", 3)), ("other", tiny_onnx.FLOAT, ("batch", 3))]
DOUBLES = [("double", tiny_onnx.DOUBLE, ("batch", 3))]


@pytest.mark.parametrize(
    ("made", "change", "reason"),
    [
        (
            {},
            {"input": InputSpec(layout="nhwc", size=(48, 32))},
            "which is not NHWC with 3 colours",
        ),
        (
            {},
            {"input": InputSpec(layout="nchw", size=(224, 224))},
            "it takes only pictures 48 pixels wide, and is described with 224x224",
        ),
        (
            {},
            {"input": InputSpec(layout="nchw")},
            "it takes only pictures 48 pixels wide, and is described with no size",
        ),
        ({"shape": (4, 3, 32, 48)}, {}, "it takes 4 pictures at once, and must take one"),
        ({"shape": ("batch", 3, 32, 48, 1)}, {}, "where a batch of pictures has 4 dimensions"),
        ({"dtype": tiny_onnx.DOUBLE}, {}, "is tensor(double), where uint8 or float32 is wanted"),
        ({"more_inputs": ["gain"]}, {}, "it has 2 inputs (pixels, gain), and must have one"),
        ({"outputs": PAIR}, {}, "2 of its outputs (vector, other) have one vector for each"),
        (
            {"outputs": DOUBLES},
            {"embedding": OutputSpec("double")},
            "its output double is tensor(double), not float32",
        ),
    ],
)
def test_a_model_that_does_not_fit_its_description_is_refused(
    tmp_path: Path, made: dict[str, Any], change: dict[str, Any], reason: str
) -> None:
    names = [name for name, *_ in made.get("outputs", [])]
    nodes = [tiny_onnx.mean_colour()]
    nodes += [second("other")] if "other" in names else []
    nodes += [CAST] if "double" in names else []
    if made.get("dtype") == tiny_onnx.DOUBLE:
        made = {**made, "outputs": [("vector", tiny_onnx.DOUBLE, ("batch", 3))]}
    if len(made.get("shape", ())) == 5:
        nodes = [tiny_onnx.mean_colour(axes=(2, 3, 4))]
    path = tiny_onnx.write(tmp_path / "own.onnx", nodes, **made)
    assert reason in refusal(own(path, **change))


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08\x12\x04"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(content)
    message = refusal(own(path))
    assert message.startswith("onnxruntime cannot open it: ")
    assert "\n" not in message


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    whole = (MODELS / f"{CPU_MODEL}.onnx").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refusal(own(path)).startswith("onnxruntime cannot open it: ")


def test_a_picture_that_the_model_cannot_take_is_an_error_of_that_picture(tmp_path: Path) -> None:
    model = onnx_model.load(own(tiny_onnx.float_nchw(tmp_path / "own.onnx")), "cpu")
    with pytest.raises(InferenceError, match=r"^own: .*invalid dimensions") as caught:
        model.run(np.ones((1, 3, 8, 8), np.float32))
    assert "\n" not in str(caught.value)
    assert model.run(np.ones((1, 3, 32, 48), np.float32))[0].shape == (1, 3)


def test_the_model_is_the_configurations(tmp_path: Path) -> None:
    assert model_choice.spec_of(ModelSettings(name=CUDA_MODEL)) == manifest()[CUDA_MODEL]
    assert model_choice.spec_of(ModelSettings(provider="cpu")).name == CPU_MODEL
    with pytest.raises(ModelError, match=r"no model lite9; model\.name can be auto, efficientnet"):
        model_choice.spec_of(ModelSettings(name="lite9"))

    path = tiny_onnx.float_nchw_with_grid(tmp_path / "own.onnx")
    custom = CustomModel(
        size=(48, 32), channels="bgr", embedding="vector", grid="map", cell_limit=0.25
    )
    spec = model_choice.spec_of(ModelSettings(path=path, custom=custom))
    assert (spec.name, spec.cell_limit, spec.sha256) == ("own", 0.25, None)
    verified = onnx_model.verify(spec, "cpu")
    assert (verified.embedding, verified.grid) == ((1, 3), (1, 3, 2, 3))
    assert verified.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert verified.spec.input.channels == "bgr"


# -------------------------------------------------------------------------------------- providers


@needs_no_gpu
def test_cuda_asked_for_and_absent_is_an_error() -> None:
    assert onnx_file.providers() == ("cpu",)
    message = refusal(manifest()[CUDA_MODEL], "cuda")
    assert message.startswith("model.provider is cuda, and ")
    assert "set it to auto or cpu" in message


@needs_no_gpu
def test_auto_takes_the_processor_where_there_is_no_gpu() -> None:
    model = model_choice.open_model(ModelSettings())
    assert (model.spec.name, model.provider) == (CPU_MODEL, "cpu")
    assert model.why == onnx_file.cuda_problem()
    assert model_choice.open_model(ModelSettings(provider="cpu")).why is None


@needs_no_gpu
@pytest.mark.skipif(
    "CUDAExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="onnxruntime without CUDA cannot be asked for it",
)
def test_a_gpu_without_its_libraries_is_an_error_or_passed_over(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnx_file, "cuda_problem", lambda: None)
    assert model_choice.spec_of(ModelSettings()).name == CUDA_MODEL
    refusal(manifest()[CUDA_MODEL], "cuda")
    model = model_choice.open_model(ModelSettings())
    assert (model.spec.name, model.provider) == (CPU_MODEL, "cpu")
    assert (model.why or "").startswith("there is a GPU, but ")
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    code = """
import contextlib, pathlib, sys
import numpy as np
from stillsift.embedding import onnx_model
from stillsift.embedding.manifest import ModelSpec, manifest
from stillsift.pipeline.model_choice import CPU_MODEL
from stillsift.problems import Problem
model = onnx_model.load(manifest()[CPU_MODEL])
model.run(np.zeros((1, 160, 288, 3), np.uint8))
for broken in (
    lambda: model.run(np.zeros((1, 160, 288, 4), np.uint8)),
    lambda: onnx_model.load(ModelSpec("bad", pathlib.Path(sys.argv[1]), 0.4)),
):
    try:
        broken()
    except Problem:
        continue
    sys.exit("that should not have worked")
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "bad.onnx")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_model_of_the_manifest_is_known_by_its_name() -> None:
    name, spec = next(iter(manifest().items()))
    assert onnx_model.load(spec, "cpu").identity == name


def test_a_model_of_the_users_own_is_known_by_its_file_and_its_description(tmp_path: Path) -> None:
    path = tiny_onnx.float_nchw(tmp_path / "mine.onnx")
    spec = own(path)
    first = onnx_model.load(spec, "cpu").identity
    assert first.startswith("own@")
    assert onnx_model.load(replace(spec, cell_limit=0.2), "cpu").identity == first
    (tmp_path / "other.onnx").write_bytes(b"a neighbour")
    assert onnx_model.load(spec, "cpu").identity == first
    others = {onnx_model.load(replace(spec, input=replace(spec.input, scale=1.0)), "cpu").identity}
    (tmp_path / "mine.onnx.data").write_bytes(b"weights")
    others.add(onnx_model.load(spec, "cpu").identity)
    tiny_onnx.float_nchw_with_grid(path)
    others.add(onnx_model.load(replace(spec, embedding=OutputSpec("vector")), "cpu").identity)
    assert len(others - {first}) == 3

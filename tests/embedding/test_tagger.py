from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]  # ships no types
import pytest
from test_embedding import clip, embedder

import tiny_onnx
from stillsift.embedding import Embedding, ModelError
from stillsift.embedding.manifest import TagsSpec, manifest
from stillsift.embedding.tagger import LEAST_CONFIDENCE, Tagger
from stillsift.pipeline.model_choice import CPU_MODEL, CUDA_MODEL


def tags_spec() -> TagsSpec:
    spec = manifest()[CUDA_MODEL].tags
    assert spec is not None
    return spec


def test_a_street_full_of_cars_shows_vehicles_and_a_dressed_man_clothing() -> None:
    tagger = Tagger(tags_spec())
    street = [tagger(embedder(CUDA_MODEL)(picture)) for picture in clip("bikes.mp4", 20)]
    assert sum("vehicle" in {tag.label for tag in tags or ()} for tags in street) >= 6
    for picture in clip("carphone_pristine.mp4", 20):
        tags = tagger(embedder(CUDA_MODEL)(picture))
        assert tags is not None
        assert tags[0].label == "clothing"
        confidences = [tag.confidence for tag in tags]
        assert confidences == sorted(confidences, reverse=True)
        assert all(LEAST_CONFIDENCE <= each <= 1 for each in confidences)


def test_what_a_wide_tag_stands_for_adds_up() -> None:
    """The classes add up to 1, and none of them is likelier than the kinds that it is of."""
    tagger = Tagger(tags_spec())
    session = ort.InferenceSession(tags_spec().path, providers=["CPUExecutionProvider"])
    embedding = embedder(CUDA_MODEL)(clip("bigbuckbunny.mp4", 60)[1])
    given = {"embedding": embedding.vector[None], "length": np.array([[embedding.length]], "f4")}
    found = session.run(["confidence"], given)[0][0]
    of = dict(zip(tagger.names, found, strict=True))
    assert found[:1000].sum() == pytest.approx(1, abs=1e-5)
    assert of["animal"] >= of["bird"] >= of["albatross"] > 0.3
    assert of["animal"] >= of["dog"] >= of["golden retriever"]


def test_the_length_decides_how_sure_it_is() -> None:
    """Without it, an embedding of length 1 would make all classes nearly as likely."""
    tagger = Tagger(tags_spec())
    embedding = embedder(CUDA_MODEL)(clip("carphone_pristine.mp4", 60)[0])
    assert embedding.length is not None
    assert embedding.length > 5
    assert embedding.in_half_precision().length == embedding.length
    assert tagger(replace(embedding, length=1.0)) == ()
    assert tagger(replace(embedding, length=None)) is None


def test_only_the_whole_network_tells_a_length() -> None:
    picture = clip("bikes.mp4", 50)[0]
    assert embedder(CPU_MODEL)(picture).length is None
    assert manifest()[CPU_MODEL].tags is None


def test_words_for_a_tag() -> None:
    words = Tagger(tags_spec()).words
    assert words["golden retriever"][0] == "retriever"
    assert "dog" in words["golden retriever"]
    assert "automobile" in words["car"]
    assert {"crane (wading bird)", "crane (lifting device)"} <= words.keys()
    assert len(words) > 1000


def test_another_embedding_has_no_tags(caplog: pytest.LogCaptureFixture) -> None:
    tagger = Tagger(tags_spec())
    assert tagger(Embedding(np.ones(112, np.float32), None, 3.0)) is None
    assert "no tags" in caplog.text


def test_a_file_without_names_is_refused(tmp_path: Path) -> None:
    path = tiny_onnx.float_nchw(tmp_path / "own.onnx")
    spec = replace(tags_spec(), path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ModelError, match=r"own\.onnx: names no tags"):
        Tagger(spec)

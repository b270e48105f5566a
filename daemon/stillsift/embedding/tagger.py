"""Makes tags of an embedding: which things of ImageNet a picture shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]  # ships no types

from ..decisions import Tag
from .embedding import Embedding
from .manifest import ModelError, TagsSpec
from .onnx_file import ORT_ERRORS, ModelFile, opened, sentence

log = logging.getLogger(__name__)

LEAST_CONFIDENCE: Final = 0.5
"""Confidence from which a tag is likelier than all that speaks against it."""


class Tagger:
    """Runs an open classifier. May be used by several threads at once."""

    def __init__(self, spec: TagsSpec) -> None:
        """Opens the file, on the CPU. Raises ModelError."""
        self.spec = spec
        self._session: ort.InferenceSession = opened(
            ModelFile(spec.path, spec.sha256, spec.bytes, "model"), "cpu", 1
        ).session
        self._words = _words(spec, self._session)

    def __call__(self, embedding: Embedding) -> tuple[Tag, ...] | None:
        """Returns the tags that are likelier than not, most confident first.

        None: nothing can be told of this embedding. It has to be of the model that the tags belong
        to. Wide tags come before narrow ones: they
        stand for any of several classes, as animal, dog and golden retriever do.
        """
        if embedding.length is None:  # it was stored before lengths were
            return None
        given = {
            "embedding": embedding.vector.reshape(1, -1),
            "length": np.array([[embedding.length]], np.float32),
        }
        try:
            confidences = self._session.run(["confidence"], given)[0][0]
        except ORT_ERRORS as error:
            log.warning("%s: no tags: %s", self.spec.name, sentence(error))
            return None
        likely = np.flatnonzero(confidences >= LEAST_CONFIDENCE)
        ordered = likely[np.argsort(-confidences[likely], kind="stable")]
        return tuple(
            Tag(self._words[place][0], min(1.0, float(confidences[place]))) for place in ordered
        )

    @property
    def names(self) -> Sequence[str]:
        """Gives the names of all tags, the classes first, then the wider ones."""
        return [name for name, *_ in self._words]

    @cached_property
    def words(self) -> Mapping[str, Sequence[str]]:
        """Gives further words for each tag, as dog for golden retriever, the narrow ones first."""
        return {name: further for name, *further in self._words}


def _words(spec: TagsSpec, session: ort.InferenceSession) -> list[list[str]]:
    """Returns the names of the classes in their order, each with further words for it."""
    try:
        words: list[list[str]] = json.loads(session.get_modelmeta().custom_metadata_map["words"])
    except (KeyError, ValueError) as error:
        raise ModelError(f"{spec.path}: names no tags; install stillsift again") from error
    return words

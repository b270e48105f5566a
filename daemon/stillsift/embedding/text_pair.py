"""Puts texts and pictures into one space, by a pair of ONNX files such as CLIP's."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]  # ships no types

from ..arrays import Floats
from ..frames import Picture
from .embedding import Embedder, Embedding
from .manifest import InputSpec, ModelError, ModelSpec
from .onnx_file import ORT_ERRORS, ModelFile, opened, sentence
from .onnx_model import load

_IDS: Final = "input_ids"
_MASK: Final = "attention_mask"
_TEXT: Final = "text_embeds"
_INTEGERS: Final = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_LONGEST: Final = 77
"""Tokens of a text where the file takes any number: as many as CLIP was trained with."""


@dataclass(frozen=True, slots=True)
class TextPairSpec:
    """Describes the files of a pair, and how pictures are put in."""

    image: Path
    text: Path
    tokenizer: Path
    """A tokenizer.json of Hugging Face `tokenizers`."""
    input: InputSpec
    length: int | None = None
    """Tokens that each text is padded or cut to; None: what the file says."""


class TextPair:
    """Runs an open pair. Pictures may be embedded by several threads at once."""

    def __init__(
        self, spec: TextPairSpec, provider: Literal["auto", "cpu", "cuda"], threads: int
    ) -> None:
        """Opens the three files. Raises ModelError."""
        self.spec = spec
        self._tokenizer = _tokenizer(spec.tokenizer)
        model = ModelSpec(
            spec.image.stem, spec.image, cell_limit=1.0, input=spec.input, described_by="search"
        )
        self._images = Embedder(load(model, provider, threads))
        self.identity = self._images.model.identity
        """Text by which the vectors of pictures are known as this model's, as `Model.identity`."""
        file = ModelFile(spec.text, None, None, "search.text")
        self._texts: ort.InferenceSession = opened(file, provider, threads).session
        self._check_texts()

    def __call__(self, picture: Picture) -> Embedding:
        """Returns the embedding of a picture, without a grid. Raises EmbedError."""
        return self._images(picture)

    def text(self, text: str) -> Floats:
        """Returns the (D,) vector of a text, of length 1. Raises ModelError."""
        given = self._tokens(text)
        try:
            vector = self._texts.run([self._output], given)[0].reshape(-1)
        except ORT_ERRORS as error:
            why = sentence(error)
            raise ModelError(f"{self.spec.text}: cannot take the text: {why}") from error
        length = float(np.linalg.norm(vector))
        if not 0 < length < np.inf:
            raise ModelError(f"{self.spec.text}: the vector of the text has length {length}")
        return np.asarray(vector / length, np.float32)

    def check_together(self, pictures: Floats) -> None:
        """Raises ModelError where (n, D) vectors of pictures do not fit to those of texts."""
        size = self.text("a").shape[0]
        if len(pictures) and pictures.shape[1] != size:
            raise ModelError(
                f"{self.spec.image} gives vectors of {pictures.shape[1]} numbers, and "
                f"{self.spec.text} of {size}; name two files of one model as search.image and "
                "search.text"
            )

    def _check_texts(self) -> None:
        path, inputs = self.spec.text, {each.name: each for each in self._texts.get_inputs()}
        strange = sorted(inputs.keys() - {_IDS, _MASK})
        if _IDS not in inputs or strange:
            names = ", ".join(inputs)
            raise ModelError(
                f"{path}: its inputs are {names}, and must be {_IDS} and, if it has one, {_MASK}; "
                "export the text model alone, with its projection"
            )
        for name, each in inputs.items():
            if each.type not in _INTEGERS or len(each.shape) != 2:
                raise ModelError(f"{path}: its input {name} is no (batch, tokens) of integers")
        self._types = {name: _INTEGERS[each.type] for name, each in inputs.items()}
        fixed = inputs[_IDS].shape[1]
        self._length = fixed if isinstance(fixed, int) else self.spec.length
        pooled = [each.name for each in self._texts.get_outputs() if len(each.shape) == 2]
        if _TEXT not in pooled and len(pooled) != 1:
            raise ModelError(
                f"{path}: none of its outputs is {_TEXT}, and {len(pooled)} have one vector for "
                "each text; export the text model with its projection"
            )
        self._output = _TEXT if _TEXT in pooled else pooled[0]

    def _tokens(self, text: str) -> dict[str, Any]:
        """Returns what the file is given for a text; of one that is too long, the last token stays,
        by which CLIP knows the end."""
        encoded = self._tokenizer.encode(text)
        ids, mask = list(encoded.ids), list(encoded.attention_mask)
        most = self._length or _LONGEST
        if len(ids) > most:
            ids, mask = [*ids[: most - 1], ids[-1]], [*mask[: most - 1], mask[-1]]
        if self._length is not None:
            lacking = self._length - len(ids)
            padding = self._tokenizer.padding or {}
            ids, mask = ids + [int(padding.get("pad_id", 0))] * lacking, mask + [0] * lacking
        if not ids:
            raise ModelError(f"{self.spec.tokenizer}: makes no token of {text!r}")
        values = {_IDS: ids, _MASK: mask}
        return {name: np.array([values[name]], dtype) for name, dtype in self._types.items()}


def _tokenizer(path: Path) -> Any:
    if importlib.util.find_spec("tokenizers") is None:
        raise ModelError(
            "searching by text with a model needs a library: pip install 'stillsift[text]' "
            "(tokenizers)"
        )
    library: Any = importlib.import_module("tokenizers")
    try:
        return library.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ModelError(f"{path}: is no tokenizer.json that can be read: {error}") from error

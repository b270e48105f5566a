"""Turns a picture into numbers by a neural network: its description, its file, its output.

Knows nothing of what pictures are compared with, or why. Read `embedding` first: an `Embedding` is
one vector for the whole picture and one for each cell of it.
"""

from .embedding import Embedder, Embedding, EmbedError, similarity
from .manifest import ModelError

__all__ = ["EmbedError", "Embedder", "Embedding", "ModelError", "similarity"]

"""stillsift keeps the frames worth keeping, and records why every other one was let go."""

__version__ = "0.1.0"

"""Reads config.yaml: every key with its type and default, and every mistake at its line.

Knows nothing of threads, sources or the store; it says what they are to do. Read `settings` first,
then `yaml_file`.
"""

from .errors import ConfigError
from .settings import Config, SourceConfig
from .yaml_file import load

__all__ = ["Config", "ConfigError", "SourceConfig", "load"]

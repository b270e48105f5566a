"""Reads config.yaml: every key with its type and default. Reports every mistake with its line.

Knows nothing of the threads, sources and store that it holds the settings of. Read `settings`
first, then `yaml_file`.
"""

from .errors import ConfigError
from .settings import Config, SourceConfig
from .yaml_file import load

__all__ = ["Config", "ConfigError", "SourceConfig", "load"]

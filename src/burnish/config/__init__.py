"""Config with an origin for every value: sources, merge, references, schema, snapshot."""

from burnish.config.origin import Origin
from burnish.config.resolve import Resolved, load_static, resolve, resolve_flags
from burnish.config.schema import ComponentConfig, Config, component

__all__ = [
    "ComponentConfig",
    "Config",
    "Origin",
    "Resolved",
    "component",
    "load_static",
    "resolve",
    "resolve_flags",
]

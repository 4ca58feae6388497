"""Config with an origin for every value: sources, merge, references, schema, snapshot."""

from burnish.config.fields import Flags, Smart, Unit
from burnish.config.origin import Origin
from burnish.config.resolve import load_static, resolve, resolve_flags
from burnish.config.resolved import Resolved
from burnish.config.schema import ComponentConfig, Config, broken, component

__all__ = [
    "ComponentConfig",
    "Config",
    "Flags",
    "Origin",
    "Resolved",
    "Smart",
    "Unit",
    "broken",
    "component",
    "load_static",
    "resolve",
    "resolve_flags",
]

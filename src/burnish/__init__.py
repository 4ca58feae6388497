"""Burnish: the experiment layer under LLM post-training.

`start_run`, `log` and `steps` are all that a plain script needs; `Experiment` and `register` are what new ideas
are written against; `runs` finds what came of them. Everything is imported when first used.
"""

from importlib import import_module

TYPE_CHECKING = False  # type checkers know the name; `typing` itself would be nine tenths of `import burnish`
if TYPE_CHECKING:
    from burnish.analyze.query import runs
    from burnish.core.errors import BurnishError
    from burnish.experiment.base import Experiment
    from burnish.experiment.load import load_config
    from burnish.experiment.loop import steps
    from burnish.experiment.registry import register
    from burnish.track.run import Run
    from burnish.track.start import log, start_run

__all__ = [
    "BurnishError",
    "Experiment",
    "Run",
    "__version__",
    "load_config",
    "log",
    "register",
    "runs",
    "start_run",
    "steps",
]

__version__ = "0.1.0"

_HOMES = {
    "BurnishError": "burnish.core.errors",
    "Experiment": "burnish.experiment.base",
    "Run": "burnish.track.run",
    "load_config": "burnish.experiment.load",
    "log": "burnish.track.start",
    "register": "burnish.experiment.registry",
    "runs": "burnish.analyze.query",
    "start_run": "burnish.track.start",
    "steps": "burnish.experiment.loop",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'burnish' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

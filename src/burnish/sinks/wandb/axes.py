"""Over what each metric is drawn and what of it the summary holds, as `Run.step_metric` said. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

Best = Literal["min", "max", ""]
STEP: Final = "step"
"""The key under which each row holds the step of training."""
TIME: Final = "_timestamp"
"""The key under which W&B holds the wall clock."""
_PREFIX: Final = "metric/"
_OF_W_AND_B: Final = {"step": STEP, "time": TIME, "": STEP}


def clean_name(name: str) -> str:
    """Return a metric's name as a key of a row: those that W&B or the sink keeps for itself get a prefix.

    >>> clean_name("loss"), clean_name("step"), clean_name("_runtime")
    ('loss', 'metric/step', 'metric/_runtime')
    """
    return f"{_PREFIX}{name}" if not name or name == STEP or name.startswith("_") else name


def may_meet(name: str) -> bool:
    """Tell whether a name may be what another one is changed to."""
    return name.startswith(_PREFIX)


@dataclass(frozen=True, slots=True)
class Drawn:
    """How W&B is to draw a metric: the key of the rows that it is drawn over, and the best value, if any."""

    axis: str = STEP
    best: Best = ""


@dataclass(slots=True)
class Definitions:
    """What was said of patterns of metrics; of several that fit, the last one counts.

    Attributes:
        said: Pattern, axis and best, in the order in which they were said; JSON.
    """

    said: list[tuple[str, str, str]] = field(default_factory=list)

    def say(self, pattern: str, axis: str, best: str) -> None:
        """Take in what was said of a pattern."""
        self.said = [one for one in self.said if one[0] != pattern]
        self.said.append((pattern, axis, best))

    def drawn(self, name: str) -> Drawn:
        """Return how a metric is drawn; one is never drawn over itself."""
        fitting = [(axis, best) for pattern, axis, best in self.said if fnmatchcase(name, pattern)]
        axis = _OF_W_AND_B.get(fitting[-1][0], fitting[-1][0]) if fitting else STEP
        bests = [best for _, best in fitting if best in ("min", "max")]
        best: Best = "" if not bests else "min" if bests[-1] == "min" else "max"
        return Drawn(STEP if axis == name else axis, best)

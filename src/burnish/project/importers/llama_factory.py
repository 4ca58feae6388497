"""`trainer_log.jsonl` of LLaMA-Factory: a line a logged step, with the time since the start in each.

The file's own time counts as that of the last line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from burnish.project.importers.beside import config_beside, name_of_folder
from burnish.project.importers.found import Facts, Found
from burnish.project.importers.hugging_face import metric_name
from burnish.project.importers.json_text import read_lines
from burnish.project.importers.log import Log
from burnish.project.importers.values import whole

LOG_FILE: Final = "trainer_log.jsonl"
_ELAPSED: Final = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)")
_NO_METRICS: Final = ("current_steps", "total_steps", "elapsed_time", "remaining_time", "percentage")


def look(files: Iterable[Path]) -> list[Path]:
    """Return the logs among some files."""
    return sorted(path for path in files if path.name == LOG_FILE)


def holds_log(path: Path) -> bool:
    """Return whether a file's first line is one of such a log."""
    first = next((told for told, _ in read_lines(path)), None)
    return first is not None and "current_steps" in first and "total_steps" in first


def read(paths: Iterable[Path]) -> Iterator[Found]:
    """Yield the run of each log."""
    for path in paths:
        where = path.absolute()
        name = name_of_folder(where.parent) if path.name == LOG_FILE else path.stem
        yield Found("llama-factory", str(where), name, name, _Log(path).read, size=max(1, path.stat().st_size))


@dataclass(frozen=True, slots=True)
class _Log:
    path: Path

    def read(self, log: Log) -> Facts:
        ended = self.path.stat().st_mtime
        last = max((_elapsed(told) for told, _ in read_lines(self.path) if told is not None), default=0.0)
        started, total, at_step = ended - last, 0, 0
        for told, size in read_lines(self.path):
            log.advance(size)
            if told is None:
                log.left_out["line that is no JSON object"] += 1
                continue
            step = whole(told.get("current_steps"))
            total = whole(told.get("total_steps")) or total
            at_step = max(at_step, step or 0)
            values = {metric_name(key): value for key, value in told.items() if key not in _NO_METRICS}
            log.scalars(values, told.get("current_steps"), started + _elapsed(told))
        is_over = at_step >= total or (self.path.parent / "all_results.json").is_file()
        return Facts(
            state="finished" if is_over else "lost",
            reason="finished" if is_over else f"the file ends at step {at_step:,} of {total:,}",
            started=started,
            ended=ended,
            are_times_recorded=False,
            config=config_beside((self.path.parent,)),
            total_steps=max(0, total),
            warnings=("times are estimated: the file's own is the end",),
        )


def _elapsed(told: dict[str, object]) -> float:
    """Return the seconds since the start."""
    found = _ELAPSED.fullmatch(str(told.get("elapsed_time")))
    if found is None:
        return 0.0
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)

"""Tests that a sink has to pass: derive a class from `SinkConformance`, and pytest runs them.

```python
from burnish.testing.sink_conformance import Points, SinkConformance

class TestLines(SinkConformance):
    def make_sink(self, place):
        return LinesSink(folder=str(place))

    def read(self, place):
        return Points(...)
```
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

import pytest

from burnish.journal.reader import SYSTEM_RANK
from burnish.sinks import MAPPED, Sink
from burnish.testing.odd_points import NAMES, STEPS, VALUES, rows
from burnish.testing.odd_records import lose_files, write_every_kind, write_nonsense
from burnish.testing.points import Points
from burnish.testing.shipment import LARGE, Shipment, ship_killed
from burnish.testing.written_run import Replay, Resume, Row, WrittenRun

__all__ = ["Points", "SinkConformance"]

_SMALL: Final = 300


class SinkConformance(ABC):
    """What holds for every sink, as tests. What a tracker cannot hold is said by the attributes and methods here.

    Each test has a place of its own, an empty folder. In it is the project of a run, whose folder is
    `place / "runs" / "20260101_kit_c0nf"`. A tracker elsewhere may take the folder's path as a name.

    Attributes:
        replayed: What the tracker shows of steps that a resumed run trained again: the `newer` values; `both`, but a
            value once that came out the same, as `burnish.sinks.replayed.Replayed` has it; or `every` value.
        merges_equal: The same name, step, value and time said twice is shown once.
        many: How many metrics a run with many of them has.
        kills: How often the process of the sink is killed.
        timeout_s: How long such a process may take.
    """

    replayed: ClassVar[Replay] = "every"
    merges_equal: ClassVar[bool] = False
    many: ClassVar[int] = 2_000
    kills: ClassVar[int] = 3
    timeout_s: ClassVar[float] = 60.0

    @abstractmethod
    def make_sink(self, place: Path) -> Sink:
        """Return a new sink that ships to a place."""

    @abstractmethod
    def read(self, place: Path) -> Points:
        """Return what the tracker's own reader shows there: each point as often as it is there."""

    def options(self, place: Path) -> Mapping[str, object] | None:
        """Return the options by which a process makes such a sink, found by its entry point; None where none can."""
        return None

    def take_away(self, place: Path) -> bool:
        """Delete what the tracker holds, as somebody may; return False where that is not to be tested."""
        return False

    def value(self, value: float) -> float | None:
        """Return what the tracker shows of a value; None where it leaves it out."""
        return value

    def name(self, name: str) -> str | None:
        """Return what the tracker calls a metric; None where it leaves it out. Asked in the order of the points."""
        return name

    def shows(self, rank: int) -> bool:
        """Return whether the points of a rank are shown; by default those of rank 0 and of the machine."""
        return rank in (0, SYSTEM_RANK)

    @pytest.mark.parametrize("batch_bytes", [LARGE, _SMALL, 1])
    def test_every_point_of_a_journal_is_shown(self, tmp_path: Path, batch_bytes: int) -> None:
        """Whatever the size of the batches; of one byte is one entry each."""
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(range(25)))
        self._shipment(run, batch_bytes).finish()
        self._check(run)

    def test_a_new_sink_goes_on_from_any_state(self, tmp_path: Path) -> None:
        """A process may end after each batch, and another goes on from what JSON gives back of the state."""
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(range(12)))
        shipment = self._shipment(run, _SMALL)
        shipment.ship(renewed=True)
        shipment.close()
        self._check(run)

    @pytest.mark.parametrize("batch_bytes", [LARGE, _SMALL])
    def test_a_batch_whose_state_was_lost_comes_again_and_is_shown_once(self, tmp_path: Path, batch_bytes: int) -> None:
        """A crash between the tracker's taking a batch and the storing of the state."""
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(range(12)))
        run.attempt(1, rows(range(9), names=("system/cpu",)), rank=SYSTEM_RANK)
        shipment = self._shipment(run, batch_bytes)
        shipment.ship(repeated=True)
        shipment.close()
        self._check(run)

    @pytest.mark.parametrize("batch_bytes", [LARGE, _SMALL])
    def test_shipped_again_from_the_start_everything_is_shown_once(self, tmp_path: Path, batch_bytes: int) -> None:
        """As `burnish sync --from-start` does: an empty state, and a place that has it all."""
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(range(12)))
        self._shipment(run).finish()
        self._shipment(run, batch_bytes).finish()
        self._check(run)

    def test_a_run_that_goes_on_after_its_end_is_shown_whole(self, tmp_path: Path) -> None:
        """A resume after `close`, which may have come twice."""
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(range(6)))
        shipment = self._shipment(run)
        shipment.finish("stopped")
        shipment.close("stopped")
        self._check(run)
        run.attempt(2, [Resume(5), *rows(range(6, 9))])
        shipment.finish()
        self._check(run)
        run.attempt(3, [Resume(8), *rows(range(9, 11))])
        shipment.ship(renewed=True)
        shipment.drop()
        shipment.close("failed")
        self._check(run)

    @pytest.mark.parametrize("says_so", [True, False])
    @pytest.mark.parametrize("batch_bytes", [LARGE, _SMALL])
    def test_steps_that_were_trained_again_are_shown_as_the_class_says(
        self, tmp_path: Path, batch_bytes: int, says_so: bool
    ) -> None:
        """Attempts that begin before the last one's end, with and without a `resume` record, and one within a file."""
        run = WrittenRun(tmp_path)
        shipment = self._shipment(run, batch_bytes)
        run.attempt(1, rows(range(10)))
        run.attempt(1, rows((2, 5, 8), names=("system/cpu",)), rank=SYSTEM_RANK)
        shipment.ship(repeated=True)
        # Of equal steps, those that three divides come out as before.
        run.attempt(2, [*[Resume(5)][:says_so], *rows(range(6, 13), scale=2)])
        shipment.ship(repeated=True)
        run.attempt(3, [*[Resume(3)][:says_so], *rows((4, 5), scale=3), Resume(4), *rows((5, 6, 7), scale=4)])
        run.attempt(3, rows((4, 5), names=("system/cpu",)), rank=SYSTEM_RANK)
        shipment.ship(repeated=True)
        shipment.close()
        self._check(run)

    def test_values_that_are_not_finite_or_very_large_are_shown_as_the_class_says(self, tmp_path: Path) -> None:
        """NaN and infinities, signed zeros, and what 32 bits do not hold."""
        run = WrittenRun(tmp_path)
        run.attempt(1, [Row(step, {"loss": value, "fine": step}) for step, value in enumerate(VALUES)])
        self._shipment(run).finish()
        self._check(run)

    @pytest.mark.parametrize("backwards", [False, True])
    def test_metrics_of_any_name_are_shown_each_as_one(self, tmp_path: Path, backwards: bool) -> None:
        """Slashes, spaces, other scripts, control characters, 10,000 letters; names that differ by little.

        A name that the tracker does not take stays what it was changed to: over crashes, and from the start again.
        """
        run = WrittenRun(tmp_path)
        names = NAMES[::-1] if backwards else NAMES
        shipment = self._shipment(run)
        for place, name in enumerate(names):
            run.attempt(1, [Row(1, {name: place})])
            shipment.ship(repeated=True)
            shipment.drop()
        run.attempt(1, [Row(2, {name: -place for place, name in enumerate(names)})])
        shipment.finish()
        self._check(run)
        self._shipment(run).finish()
        self._check(run)

    def test_steps_in_any_order_are_shown(self, tmp_path: Path) -> None:
        """Gaps, steps that go back without anything being replayed, and large ones."""
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(STEPS))
        self._shipment(run).finish()
        self._check(run)

    def test_a_point_that_was_said_twice_is_shown_as_the_class_says(self, tmp_path: Path) -> None:
        """The same call twice within one tick of the clock."""
        run = WrittenRun(tmp_path)
        with run.writer() as writer:
            for _ in range(2):
                writer.row(("loss",), (0.5,), 1, 1.7e9)
        shipment = self._shipment(run, 1)
        shipment.ship(repeated=True)
        shipment.close()
        wanted = self._points([("loss", 1, 0.5)] * (1 if self.merges_equal else 2))
        _compare(self.read(tmp_path), wanted)

    def test_thousands_of_metrics_are_shown(self, tmp_path: Path) -> None:
        """In one call, and in many calls of few."""
        run = WrittenRun(tmp_path)
        names = [f"layer/{number}" for number in range(self.many)]
        run.attempt(1, [Row(1, {name: number / 2 for number, name in enumerate(names)})])
        run.attempt(1, [Row(2, {name: 1.0, "loss": 0.5}) for name in names[::7]])
        self._shipment(run).finish()
        self._check(run)

    def test_ranks_are_shown_as_the_class_says(self, tmp_path: Path) -> None:
        """Rank 0, another one, and the process that watches, whose steps no resume takes back."""
        run = WrittenRun(tmp_path)
        for rank in (0, 1, SYSTEM_RANK):
            run.attempt(1, rows(range(4), names=(f"of rank {rank}",)), rank=rank)
        self._shipment(run).finish()
        self._check(run)

    @pytest.mark.parametrize("loses_files", [False, True])
    def test_records_of_every_kind_are_taken(self, tmp_path: Path, loses_files: bool) -> None:
        """Texts, tables, histograms, pictures, graphs, artifacts, alerts, logs; also when their files are missing."""
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(range(3)))
        with run.writer() as writer:
            write_every_kind(writer, run.paths.root)
        if loses_files:
            assert lose_files(run.paths.root)
        run.attempt(1, rows(range(3, 6)))
        shipment = self._shipment(run, _SMALL)
        shipment.ship(repeated=True)
        shipment.close()
        self._check(run)

    def test_records_that_make_no_sense_are_passed_over(self, tmp_path: Path) -> None:
        """Empty payloads, values of other types, paths that lead elsewhere, a kind from the future."""
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(range(3)))
        with run.writer() as writer:
            write_nonsense(writer)
        run.attempt(1, rows(range(3), names=("system/cpu",)), rank=SYSTEM_RANK)
        self._shipment(run).finish()
        self._check(run)

    def test_a_config_may_come_late(self, tmp_path: Path) -> None:
        """A script's config is known some time after its first points."""
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(range(3)))
        shipment = self._shipment(run)
        shipment.ship()
        run.configure('training:\n  lr: 0.1\n  stages: [1, 2]\nname: größe\nnone: null\nlong: "' + "x" * 9_000 + '"\n')
        run.attempt(1, rows(range(3, 6)))
        shipment.finish()
        self._check(run)

    def test_a_run_that_says_nothing_is_closed(self, tmp_path: Path) -> None:
        """No journal, no config, not even a `run.json`."""
        run = WrittenRun(tmp_path)
        self._shipment(run).finish("failed")
        self._check(run)
        run.paths.state.unlink()
        self._shipment(run).finish("failed")
        self._check(run)

    def test_what_the_tracker_cannot_hold_is_counted(self, tmp_path: Path) -> None:
        """Values and names that the class says are changed or left out are counted in the state under `mapped`."""
        run = WrittenRun(tmp_path)
        run.attempt(1, [Row(step, {"loss": value}) for step, value in enumerate(VALUES)])
        run.attempt(1, [Row(1, dict.fromkeys(NAMES, 1.0))], rank=SYSTEM_RANK)
        shipment = self._shipment(run)
        shipment.finish()
        values = [value for value in VALUES if _is_lost(value, self.value(value))]
        names = [name for name in NAMES if self.name(name) != name]
        assert not (values or names) or shipment.state.get(MAPPED), "what is changed or left out is not counted"

    @pytest.mark.parametrize("reopened", [True, False])
    def test_what_was_taken_away_is_shipped_again(self, tmp_path: Path, reopened: bool) -> None:
        """A sink says `Gone` when what its state vouches for is not there, and ships it all again."""
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(range(6)))
        shipment = self._shipment(run)
        shipment.ship()
        if not self.take_away(tmp_path):
            pytest.skip("take_away() does not say how")
        if reopened:
            shipment.drop()
        run.attempt(1, rows(range(6, 9)))
        shipment.finish_again()
        self._check(run)

    def test_killed_at_any_moment_everything_is_shown_once(self, tmp_path: Path) -> None:
        """The sink's own process, as it runs beside training, is killed by SIGKILL again and again."""
        options = self.options(tmp_path)
        if options is None:
            pytest.skip("options() does not say how a process makes the sink")
        run = WrittenRun(tmp_path)
        run.attempt(1, rows(range(400)))
        run.attempt(2, [Resume(350), *rows(range(351, 450), scale=2)])
        moments = sorted(random.randrange(1, 400) for _ in range(self.kills))
        name = self.make_sink(tmp_path).name
        status = ship_killed(run.paths, name, {"batch_kb": 0.5, **options}, moments, timeout_s=self.timeout_s)
        assert status.closed, f"killed after {moments} entries it did not come to its end: {status}"
        assert not status.error, f"killed after {moments} entries it ended with: {status}"
        assert not status.behind_bytes, f"killed after {moments} entries it left something behind: {status}"
        self._check(run)

    def _shipment(self, run: WrittenRun, batch_bytes: int = LARGE) -> Shipment:
        place = run.paths.root.parent.parent
        return Shipment(run.paths, lambda: self.make_sink(place), batch_bytes)

    def _check(self, run: WrittenRun) -> None:
        said = [said for said in run.shown(self.replayed) if self.shows(said.rank)]
        wanted = self._points((each.name, each.step, each.value) for each in said)
        _compare(self.read(run.paths.root.parent.parent), wanted)

    def _points(self, said: Iterable[tuple[str, int, float]]) -> Points:
        found: list[tuple[str, int, float]] = []
        for told, step, number in said:
            name, value = self.name(told), self.value(number)
            if name is not None and value is not None:
                found.append((name, step, value))
        return Points(found)


def _is_lost(value: float, shown: float | None) -> bool:
    """Return whether more than digits of a value is lost."""
    return shown is None or math.isfinite(value) != math.isfinite(shown)


def _compare(shown: Points, wanted: Points) -> None:
    assert isinstance(shown, Points), f"read() returns Points, not {type(shown).__name__}"
    difference = shown.difference(wanted)
    assert not difference, difference

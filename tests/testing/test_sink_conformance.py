"""The kit fails what is broken, and passes what is not."""

import inspect
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.journal import Kind, Row
from burnish.journal.media import media_file
from burnish.sinks import Gone
from burnish.testing import sink_conformance
from burnish.testing.sink_conformance import Points, SinkConformance

from .lines import Lines, read_lines

HERE = Path(__file__).parent


class LinesKit(SinkConformance):
    kind = Lines

    def make_sink(self, place):
        return self.kind(str(place))

    def options(self, place):
        return {"folder": str(place)}

    def read(self, place):
        return Points(read_lines(place))

    def take_away(self, place):
        (place / "lines.jsonl").unlink()
        return True


@pytest.fixture
def installed(tmp_path_factory, monkeypatch):
    """Install the packages `lines` and `careless`, whose sinks are found by their entry points."""
    site = tmp_path_factory.mktemp("site")
    (site / "lines.py").write_text((HERE / "lines.py").read_text())
    (site / "careless.py").write_text(CARELESS)
    (site / "lines-1.0.dist-info").mkdir()
    (site / "lines-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: lines\nVersion: 1.0\n")
    entries = "[burnish.sinks]\nlines = lines:Lines\ncareless = careless:Careless\n"
    (site / "lines-1.0.dist-info" / "entry_points.txt").write_text(entries)
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep))
    monkeypatch.syspath_prepend(str(site))
    return site


@pytest.mark.usefixtures("installed")
class TestLines(LinesKit):
    """All of the kit, with a sink that is right."""


CARELESS = '''
import os, signal
from lines import Lines

class Careless(Lines):
    """Says that a batch is delivered before it is."""

    name = "careless"

    def ship(self, batch):
        size = self.size + sum(len(self.encoded(line)) for e in batch.entries for line in self.lines(batch, e))
        self.waiting = getattr(self, "waiting", [])
        self.waiting.append(batch)
        if len(self.waiting) == 4:
            for each in self.waiting:
                super().ship(each)
            self.waiting = []
        self.size = size
        return self.state()

    def take_size(self):
        self.size = min(self.size, self.file.stat().st_size if self.file.exists() else 0)

    def close(self, status):
        for each in self.waiting:
            super().ship(each)
'''


class Loses(Lines):
    def ship(self, batch):
        self.shipped = getattr(self, "shipped", 0) + 1
        return self.state() if self.shipped == 2 else super().ship(batch)


class Doubles(Lines):
    def cut(self):
        pass


class DoublesFromTheStart(Lines):
    def cut(self):
        if self.size:
            super().cut()


class ForgetsItsState(Lines):
    def state(self):
        return {}


class Silent(Lines):
    def take_size(self):
        self.size = min(self.size, self.file.stat().st_size if self.file.exists() else 0)


class ForgetsNaN(Lines):
    def point(self, name, step, value):
        return [name, step, 0.0 if math.isnan(value) else value]


class KeepsNoMore(Lines):
    def point(self, name, step, value):
        return [name, step, min(value, 1e38) if math.isfinite(value) else value]


class Ascii(Lines):
    def encoded(self, line):
        str(line[0]).encode("ascii")
        return super().encoded(line)


class JoinsNames(Lines):
    def point(self, name, step, value):
        return [name.replace("@", "_at_"), step, value]


class CutsNames(Lines):
    def point(self, name, step, value):
        return [name[:250], step, value]


class DropsOlderSteps(Lines):
    def point(self, name, step, value):
        self.newest = max(getattr(self, "newest", 0), step)
        return [name, self.newest, value]


class NoJson(Lines):
    def state(self):
        return {"size": self.size, "file": self.file}


class NoState(Lines):
    def state(self):
        return None


class CountsNothing(Lines):
    def state(self):
        return {"size": self.size, "mapped": {"odd": -1}}


class PointsNowhere(Lines):
    def state(self):
        return {"size": self.size, "where": ["here"]}


class KnowsKinds(Lines):
    def record(self, record):
        Kind(record.kind)


class TrustsPayloads(Lines):
    def record(self, record):
        if record.kind == Kind.TEXT:
            len(record.payload["text"])


class WantsFiles(Lines):
    def open(self, run, state):
        self.root = run.root
        super().open(run, state)

    def record(self, record):
        if (file := media_file(self.root, record.payload)) is not None:
            file.read_bytes()


class AllRanks(Lines):
    def lines(self, batch, entry):
        return [] if not isinstance(entry, Row) else [[k, entry.step, v] for k, v in zip(entry.keys, entry.values)]  # noqa: B905


class WantsConfig(Lines):
    def open(self, run, state):
        super().open(run, state)
        self.config = run.config
        self.is_known = run.config.exists()

    def ship(self, batch):
        if self.config.exists() and not self.is_known:
            raise RuntimeError("the config has changed")
        return super().ship(batch)


class WantsRecord(Lines):
    def open(self, run, state):
        run.state.read_text()
        super().open(run, state)


class EndsOnce(Lines):
    def close(self, status):
        mark = self.file.with_name("ended")
        mark.touch(exist_ok=False)


class StopsAtTheEnd(Lines):
    def ship(self, batch):
        return self.state() if self.file.with_name("ended").exists() else super().ship(batch)

    def close(self, status):
        self.file.with_name("ended").touch()


class FewMetrics(Lines):
    def ship(self, batch):
        if any(isinstance(entry, Row) and len(entry.keys) > 1000 for entry in batch.entries):
            raise ValueError("a call takes up to 1000 metrics")
        return super().ship(batch)


BROKEN = [
    (Loses, "test_every_point_of_a_journal_is_shown", {"batch_bytes": 1}),
    (Doubles, "test_a_batch_whose_state_was_lost_comes_again_and_is_shown_once", {"batch_bytes": 300}),
    (DoublesFromTheStart, "test_shipped_again_from_the_start_everything_is_shown_once", {"batch_bytes": 300}),
    (ForgetsItsState, "test_a_new_sink_goes_on_from_any_state", {}),
    (Silent, "test_what_was_taken_away_is_shipped_again", {"reopened": True}),
    (ForgetsNaN, "test_values_that_are_not_finite_or_very_large_are_shown_as_the_class_says", {}),
    (KeepsNoMore, "test_values_that_are_not_finite_or_very_large_are_shown_as_the_class_says", {}),
    (Ascii, "test_metrics_of_any_name_are_shown_each_as_one", {"backwards": False}),
    (JoinsNames, "test_metrics_of_any_name_are_shown_each_as_one", {"backwards": False}),
    (CutsNames, "test_metrics_of_any_name_are_shown_each_as_one", {"backwards": False}),
    (DropsOlderSteps, "test_steps_in_any_order_are_shown", {}),
    (NoJson, "test_every_point_of_a_journal_is_shown", {"batch_bytes": 1}),
    (NoState, "test_every_point_of_a_journal_is_shown", {"batch_bytes": 1}),
    (CountsNothing, "test_what_the_tracker_cannot_hold_is_counted", {}),
    (PointsNowhere, "test_what_the_tracker_cannot_hold_is_counted", {}),
    (KnowsKinds, "test_records_that_make_no_sense_are_passed_over", {}),
    (TrustsPayloads, "test_records_that_make_no_sense_are_passed_over", {}),
    (WantsFiles, "test_records_of_every_kind_are_taken", {"loses_files": True}),
    (AllRanks, "test_ranks_are_shown_as_the_class_says", {}),
    (WantsConfig, "test_a_config_may_come_late", {}),
    (WantsRecord, "test_a_run_that_says_nothing_is_closed", {}),
    (EndsOnce, "test_a_run_that_goes_on_after_its_end_is_shown_whole", {}),
    (StopsAtTheEnd, "test_a_run_that_goes_on_after_its_end_is_shown_whole", {}),
    (FewMetrics, "test_thousands_of_metrics_are_shown", {}),
]


def failure(kit, test, tmp_path, **arguments):
    with pytest.raises((AssertionError, Gone)) as caught:
        getattr(kit, test)(tmp_path, **arguments)
    return str(caught.value)


@pytest.mark.parametrize(("broken", "test", "arguments"), BROKEN)
def test_broken_sink_fails(broken, test, arguments, tmp_path):
    kit = LinesKit()
    kit.kind = broken
    assert failure(kit, test, tmp_path, **arguments)


def test_every_test_of_the_kit_fails_for_some_sink():
    failing = {test for _, test, _ in BROKEN}
    here = inspect.getsource(sys.modules[__name__])
    tests = [name for name in vars(SinkConformance) if name.startswith("test_")]
    assert tests
    assert [name for name in tests if name not in failing and f'"{name}"' not in here] == []


def test_sink_that_lets_a_batch_wait_fails_when_it_is_killed(installed, tmp_path):
    kit = LinesKit()
    kit.kind = type("Careless", (Lines,), {"name": "careless"})
    found = failure(kit, "test_killed_at_any_moment_everything_is_shown_once", tmp_path)
    assert "missing: " in found


@pytest.mark.parametrize("replayed", ["newer", "both"])
def test_sink_that_shows_other_values_of_replayed_steps_than_it_says_fails(replayed, tmp_path):
    kit = LinesKit()
    kit.replayed = replayed
    test = "test_steps_that_were_trained_again_are_shown_as_the_class_says"
    assert "too many: " in failure(kit, test, tmp_path, batch_bytes=300, says_so=True)


def test_sink_that_merges_no_equal_points_as_it_says_fails(tmp_path):
    kit = LinesKit()
    kit.merges_equal = True
    found = failure(kit, "test_a_point_that_was_said_twice_is_shown_as_the_class_says", tmp_path)
    assert found == "1 too many: loss at step 1: 0.5"


def test_what_is_changed_without_being_counted_fails(tmp_path):
    kit = LinesKit()
    kit.value = lambda value: value if math.isfinite(value) else 0.0
    found = failure(kit, "test_what_the_tracker_cannot_hold_is_counted", tmp_path)
    assert found == "what is changed or left out is not counted"


def test_failure_says_which_points_are_missing(tmp_path):
    kit = LinesKit()
    kit.kind = ForgetsNaN
    test = "test_values_that_are_not_finite_or_very_large_are_shown_as_the_class_says"
    assert failure(kit, test, tmp_path) == "1 missing: loss at step 1: nan; 1 too many: loss at step 1: 0.0"


def test_failure_says_what_a_sink_raised(tmp_path):
    kit = LinesKit()
    kit.kind = FewMetrics
    found = failure(kit, "test_thousands_of_metrics_are_shown", tmp_path)
    assert found == "ship raised ValueError: a call takes up to 1000 metrics"


def test_sink_that_says_too_little_of_itself_is_not_tested_for_it(tmp_path):
    kit = LinesKit()
    kit.options = lambda place: None
    kit.take_away = lambda place: False
    with pytest.raises(pytest.skip.Exception, match=r"options\(\) does not say how a process makes the sink"):
        kit.test_killed_at_any_moment_everything_is_shown_once(tmp_path)
    with pytest.raises(pytest.skip.Exception, match=r"take_away\(\) does not say how"):
        kit.test_what_was_taken_away_is_shipped_again(tmp_path, reopened=True)


def test_pytest_collects_no_tests_from_the_package_itself():
    folder = Path(sink_conformance.__file__).parent
    command = [sys.executable, "-m", "pytest", "--collect-only", "--doctest-modules", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, "-o", "addopts=", str(folder)], capture_output=True, text=True, check=False)
    items = re.findall(r"<(\w+) ([\w.]+)>", done.stdout)
    assert [item for item in items if item[0] not in ("Dir", "Package")] == [
        ("DoctestModule", "points.py"),
        ("DoctestItem", "burnish.testing.points.Points"),
    ]


def test_points_are_equal_by_name_step_and_value_as_often_as_they_are_there():
    one = Points([("loss", 1, 0.5), ("loss", 2, math.nan)])
    assert one == Points([("loss", 2, math.nan), ("loss", 1, 0.5)])
    assert one != Points([("loss", 1, 0.5), ("loss", 2, math.nan), ("loss", 2, math.nan)])
    assert Points([("loss", 1, 0.0)]) != Points([("loss", 1, -0.0)])
    assert Points([("loss", 1, 0)]) == Points([("loss", 1, 0.0)])
    assert len(one) == len(list(one)) == 2
    assert repr(Points([("x" * 100, 1, 0.5)])) == f"Points({'x' * 77}… at step 1: 0.5)"

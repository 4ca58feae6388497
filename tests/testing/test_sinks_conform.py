"""The sinks that come with Burnish pass the kit that is given to others, each read by its tracker's own reader."""

import math
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from burnish.journal import Row
from burnish.sinks.memory import MemorySink
from burnish.sinks.names import Names
from burnish.testing.sink_conformance import Points, SinkConformance

MANY_KILLS = 25


def narrow(value):
    """Return what a 32-bit float makes of a value."""
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


class TestMemory(SinkConformance):
    """Keeps everything in one object, which here is the place."""

    def make_sink(self, place):
        self.sinks = getattr(self, "sinks", {})
        return self.sinks.setdefault(place, MemorySink())

    def read(self, place):
        taken = [entry for entries in self.sinks[place].entries.values() for entry in entries]
        rows = [entry for entry in taken if isinstance(entry, Row)]
        return Points((name, row.step, value) for row in rows for name, value in zip(row.keys, row.values, strict=True))

    def shows(self, rank):
        return True


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
class TestTensorBoard(SinkConformance):
    replayed = "newer"

    def make_sink(self, place):
        from burnish.sinks.tensorboard import TensorBoardSink

        return TensorBoardSink()

    def options(self, place):
        return {}

    def take_away(self, place):
        for file in place.rglob("*tfevents*"):
            file.unlink()
        return True

    def value(self, value):
        return narrow(value)

    def read(self, place):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        found = []
        for folder in {file.parent for file in place.rglob("*tfevents*")}:
            events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
            for tag in events.Tags()["scalars"]:
                found += [(tag, event.step, event.value) for event in events.Scalars(tag)]
        return Points(found)


@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of SQLAlchemy, as MLflow uses it
class TestMLflow(SinkConformance):
    replayed = "both"
    merges_equal = True
    many = 1_100  # a call takes 1,000
    kills = 1

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def database(cls, tmp_path_factory):
        """A database that all tests share: making its tables takes seconds."""
        cls.uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"

    def options(self, place):
        return {"uri": self.uri, "experiment": str(place)}

    def make_sink(self, place):
        from burnish.sinks.mlflow import MLflowSink

        return MLflowSink(**self.options(place))

    def runs(self, place):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        experiment = client.get_experiment_by_name(str(place))
        return client, [] if experiment is None else client.search_runs([experiment.experiment_id])

    def take_away(self, place):
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        for run in self.runs(place)[1]:
            SqlAlchemyStore(self.uri, str(place))._hard_delete_run(run.info.run_id)
        return True

    def value(self, value):
        if math.isinf(value):
            return math.copysign(sys.float_info.max, value)
        return value or 0.0  # SQLite has no -0.0

    def name(self, name):
        from burnish.sinks.mlflow.sink import clean_name, may_meet

        self.names = getattr(self, "names", Names(clean_name, may_meet))
        return self.names[name]

    def read(self, place):
        client, runs = self.runs(place)
        return Points(
            (name, point.step, point.value)
            for run in runs
            for name in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, name)
        )


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
class TestWandb(SinkConformance):
    replayed = "both"

    def options(self, place):
        return {"folder": str(place)}

    def make_sink(self, place):
        from burnish.sinks.wandb import WandbSink

        return WandbSink(**self.options(place))

    def take_away(self, place):
        for log in place.rglob("*.wandb"):
            log.unlink()
        return True

    def name(self, name):
        from burnish.sinks.wandb.axes import clean_name, may_meet

        self.names = getattr(self, "names", Names(clean_name, may_meet))
        return self.names[name]

    def read(self, place):
        import json

        core = Path(find_spec("wandb").submodule_search_locations[0]) / "bin" / "wandb-core"
        found = []
        for log in sorted(place.rglob("*.wandb")):
            command = [core, "leet", "inspect", "--no-observability", "--json", "--run-file", log, log.parent]
            shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
            records = [json.loads(line, parse_int=float) for line in shown.split("\n")[:-1]]  # -0 is no integer
            for row in [record["history"]["item"] for record in records if "history" in record]:
                parts = {name.rpartition(".")[0] for name in row if name.endswith("._type")}
                found += [
                    (name, int(row["step"]), float(value))
                    for name, value in row.items()
                    if not name.startswith("_") and name != "step" and name.rpartition(".")[0] not in parts
                ]
        return Points(found)


@pytest.mark.chaos
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kit", [TestTensorBoard, TestMLflow, TestWandb])
def test_sinks_are_killed_many_times(kit, tmp_path, tmp_path_factory, monkeypatch):
    if kit is TestMLflow:
        monkeypatch.setattr(kit, "uri", f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}", raising=False)
    one = kit()
    monkeypatch.setattr(kit, "kills", MANY_KILLS)
    one.test_killed_at_any_moment_everything_is_shown_once(tmp_path)

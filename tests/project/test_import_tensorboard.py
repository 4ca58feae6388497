"""TensorBoard's log folders as runs, written by TensorBoard's own classes and by torch."""

import math
import shutil
import struct

import numpy as np
import pytest

from burnish.analyze.media import media, read_histogram, read_picture, read_text
from burnish.config.flat import config_values
from burnish.core.paths import RunPaths, find_project
from burnish.journal.record import read_record
from burnish.journal.series import load_scalars
from burnish.project.importers import Failed, find_runs, import_runs

pytest.importorskip("tensorboard")

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)


@pytest.fixture
def logs(alone):
    return alone / "logs"


@pytest.fixture
def write(logs):
    """Return a function that writes an event file with TensorBoard's writer; returns its path."""

    def call(*events, run="a", suffix=""):
        writer = EventFileWriter(str(logs / run), filename_suffix=suffix)
        for event in events:
            writer.add_event(event)
        writer.close()
        return max((logs / run).iterdir(), key=lambda path: path.stat().st_mtime_ns)

    return call


@pytest.fixture
def take(logs):
    """Return a function that imports the logs; returns what became of its runs."""

    def call(path=logs):
        found = find_runs([str(path)])
        assert not found.errors
        return import_runs(found.runs, find_project())

    return call


def scalar(tag, value, step, at=1.7e9):
    return Event(wall_time=at, step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))


def tensor(tag, value, step, plugin="", content=b"", at=1.7e9):
    about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin, content=content))
    told = Summary.Value(tag=tag, tensor=make_tensor_proto(value), metadata=about if plugin else None)
    return Event(wall_time=at, step=step, summary=Summary(value=[told]))


def run_of(outcome):
    return RunPaths(find_project().runs / outcome.name)


def points(outcome, name):
    return dict(zip(*load_scalars(run_of(outcome).journals).of(name), strict=True))


def test_each_folder_with_event_files_is_a_run_named_by_its_path(write, take):
    write(scalar("loss", 0.5, 1), run="sft/one")
    write(scalar("loss", 0.25, 1), run="sft/two")
    first, second = take()
    assert [done.called for done in (first, second)] == ["sft/one", "sft/two"]
    assert first.experiment == second.experiment
    assert points(second, "loss") == {1: 0.25}


def test_scalars_of_both_generations_keep_steps_and_times(write, take):
    write(
        scalar("old", float("nan"), 1, 1.7e9 + 0.25),
        tensor("new", np.float32(0.5), 1, "scalars", at=1.7e9 + 1),
        tensor("new", np.float32(0.25), 2, at=1.7e9 + 2),  # whose it is stands in the first value only
        tensor("whole", np.int64(7), 3, "scalars", at=1.7e9 + 3),
    )
    (done,) = take()
    assert math.isnan(points(done, "old")[1])
    assert points(done, "new") == {1: 0.5, 2: 0.25}
    assert points(done, "whole") == {3: 7.0}
    assert load_scalars(run_of(done).journals).series("new").time.tolist() == [1.7e9 + 1, 1.7e9 + 2]
    record = read_record(run_of(done))
    assert (record["started"], record["ended"]) == (1.7e9 + 0.25, 1.7e9 + 3)
    assert record["imported"]["written_by"] == "brain.Event:2"


def test_histograms_pictures_and_texts_of_both_generations_are_kept(write, take):
    old = HistogramProto(
        min=0, max=3, num=4, sum=6, sum_squares=14, bucket_limit=[0.0, 1.5, 1.7e308], bucket=[0.0, 1.0, 3.0]
    )
    image = Summary.Image(width=1, height=1, encoded_image_string=PNG)
    write(
        Event(wall_time=1.7e9, step=1, summary=Summary(value=[Summary.Value(tag="h/old", histo=old)])),
        Event(wall_time=1.7e9, step=1, summary=Summary(value=[Summary.Value(tag="i/old", image=image)])),
        tensor("h/new", np.array([[0.0, 1.0, 2.0], [1.0, 4.0, 6.0]]), 2, "histograms"),
        tensor("i/new", np.array([b"1", b"1", PNG, PNG], dtype=object), 2, "images"),
        tensor("words", np.array([b"hello", "wörld".encode()], dtype=object), 2, "text"),
    )
    (done,) = take()
    root = run_of(done).root
    found = read_histogram(root, "h/old")
    assert (found.edges, found.counts, found.mean, found.min, found.max) == ((0.0, 1.5, 3.0), (1, 3), 1.5, 0.0, 3.0)
    assert read_histogram(root, "h/new").edges == (0.0, 1.0, 4.0)
    assert read_histogram(root, "h/new").counts == (2, 6)
    assert read_picture(root, "i/old").read_bytes() == PNG
    assert {item.key for item in media(root) if item.kind == "image"} == {"i/old", "i/new/0", "i/new/1"}
    assert read_text(root, "words") == "hello\n\nwörld"


def test_hyperparameters_are_the_config_and_a_session_says_how_it_ended(write, take):
    start = plugin_data_pb2.SessionStartInfo(start_time_secs=1.7e9)
    start.hparams["lr"].number_value = 1e-3
    start.hparams["layers"].number_value = 4
    start.hparams["name"].string_value = "adamw"
    start.hparams["tied"].bool_value = True
    end = plugin_data_pb2.SessionEndInfo(end_time_secs=1.7e9 + 60, status=api_pb2.STATUS_FAILURE)
    first = plugin_data_pb2.HParamsPluginData(session_start_info=start).SerializeToString()
    last = plugin_data_pb2.HParamsPluginData(session_end_info=end).SerializeToString()
    write(
        tensor("_hparams_/session_start_info", 0.0, 0, "hparams", first),
        scalar("loss", 0.5, 1, 1.7e9 + 30),
        tensor("_hparams_/session_end_info", 0.0, 0, "hparams", last),
    )
    (done,) = take()
    assert config_values(run_of(done).config) == {"lr": 1e-3, "layers": 4, "name": "adamw", "tied": True}
    record = read_record(run_of(done))
    assert (record["state"], record["ended"]) == ("failed", 1.7e9 + 60)
    assert set(record["summary"]) == {"loss"}


def test_folder_that_add_hparams_makes_belongs_to_the_run_around_it(logs, take):
    torch = pytest.importorskip("torch.utils.tensorboard")
    writer = torch.SummaryWriter(str(logs / "a"))
    for step in range(3):
        writer.add_scalar("loss", 1 / (step + 1), step)
    writer.add_histogram("w", np.arange(10.0), 2)
    writer.add_hparams({"lr": 0.5}, {"hparam/acc": 0.75})
    writer.close()
    (done,) = take()
    assert points(done, "hparam/acc") == {0: 0.75}
    assert config_values(run_of(done).config) == {"lr": 0.5}
    assert sum(read_histogram(run_of(done).root, "w").counts) == 10
    assert len(points(done, "loss")) == 3


def test_session_that_starts_again_replaces_what_came_after_its_step(write, take):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path = write(*[scalar("loss", float(step), step) for step in range(10)], scalar("other", 1.0, 9))
    write(
        Event(wall_time=1.7e9 + 60, step=5, session_log=SessionLog(status=SessionLog.START)),
        *[scalar("loss", 100.0 + step, step, 1.7e9 + 60) for step in range(5, 8)],
        suffix=".later",
    )
    (done,) = take()
    own = EventAccumulator(str(path.parent)).Reload()
    assert points(done, "loss") == {event.step: event.value for event in own.Scalars("loss")}
    assert list(points(done, "loss").values()) == [0.0, 1.0, 2.0, 3.0, 4.0, 105.0, 106.0, 107.0]
    assert points(done, "other") == {}
    attempts = read_record(run_of(done))["attempts"]
    assert [(attempt["number"], attempt["last_step"]) for attempt in attempts] == [(1, 9), (2, 7)]


def test_file_that_is_cut_off_or_broken_is_read_up_to_there_and_that_is_said(write, take):
    path = write(*[scalar("loss", float(step), step) for step in range(10)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    (done,) = take()
    assert list(points(done, "loss")) == list(range(9))
    (warning,) = done.warnings
    assert warning.startswith(f"{path.name}: the last ")
    assert warning.endswith(" bytes are no whole record")
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 1
    path.write_bytes(broken)
    (again,) = take()
    assert (again.outcome, again.id) == ("unchanged", done.id)
    path.write_bytes(whole)
    (mended,) = take()
    assert (mended.outcome, mended.id) == ("updated", done.id)
    assert list(points(mended, "loss")) == list(range(10))


def test_length_that_cannot_be_is_the_end_of_the_file(write, take):
    path = write(scalar("loss", 1.0, 1))
    with path.open("ab") as file:
        file.write(struct.pack("<QI", 2**60, 0) + b"x" * 100)
    (done,) = take()
    assert points(done, "loss") == {1: 1.0}
    assert done.warnings == (f"{path.name}: the last 112 bytes are no whole record",)


def test_file_that_only_its_name_makes_an_event_file_is_refused(logs, take):
    logs.mkdir()
    (logs / "events.out.tfevents.1.host").write_bytes(b"x" * 1000)
    (done,) = take()
    assert isinstance(done, Failed)
    assert done.error.message == "no whole event is in it"


def test_what_has_no_place_in_a_run_is_counted(write, take):
    write(
        tensor("curve", np.zeros((6, 3)), 1, "pr_curves"),
        Event(wall_time=1.7e9, step=1, graph_def=b"graph"),
        tensor("picture", np.array([b"1", b"1", b"no picture"], dtype=object), 1, "images"),
        tensor("falls", np.array([[1.0, 0.0, 2.0]]), 1, "histograms"),
    )
    (done,) = take()
    assert done.warnings == (
        "left out: 1 × graph def",
        "left out: 1 × histogram that is none",
        "left out: 1 × picture of an unknown format",
        "left out: 1 × summary of pr_curves",
    )


def test_run_that_has_grown_or_was_moved_is_the_same_run(write, take, logs):
    write(scalar("loss", 1.0, 1))
    (first,) = take()
    assert [done.outcome for done in take()] == ["unchanged"]
    write(scalar("loss", 2.0, 2, 1.7e9 + 1), suffix=".later")
    (second,) = take()
    assert (second.outcome, second.id) == ("updated", first.id)
    assert points(second, "loss") == {1: 1.0, 2: 2.0}
    shutil.move(logs, logs.with_name("moved"))
    (third,) = take(logs.with_name("moved"))
    assert (third.outcome, third.id) == ("unchanged", first.id)


def test_one_event_file_can_be_named(write, take):
    path = write(scalar("loss", 1.0, 1))
    (done,) = take(path)
    assert points(done, "loss") == {1: 1.0}

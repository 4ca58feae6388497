"""The bytes of W&B's log: what W&B's own classes and its own client make of the same."""

import json
import math
import struct
import subprocess
import sys
import zlib
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.files import write_json
from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter, Row
from burnish.journal.reader import JournalReader, journal_files
from burnish.sinks import wire
from burnish.sinks.base import Batch, Gone
from burnish.sinks.wandb import WandbSink, records
from burnish.sinks.wandb.log import HEADER, Extent, TransactionLog, frame, read_records
from burnish.sinks.wandb.records import ArtifactFields, Entry, Identity, RunFields
from burnish.sinks.wandb.rows import Rows

CREATED = 1_750_000_000.25
SOMEBODY = Identity("20260101_toy_k7f2", "project", "team")


def parsed(record):
    """Return a record as W&B's own class reads it."""
    from wandb.proto.wandb_internal_pb2 import Record

    read = Record()
    read.ParseFromString(record)
    assert read.SerializeToString(deterministic=True) is not None
    assert not unknown_fields(read)
    return read


def unknown_fields(message):
    from google.protobuf.unknown_fields import UnknownFieldSet

    found = len(UnknownFieldSet(message))
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            found += sum(map(unknown_fields, value if field.is_repeated else [value]))
    return found


def items(values):
    return {".".join(item.nested_key): json.loads(item.value_json) for item in values}


def read_log(raw):
    """Return the records of a log by the rules of LevelDB's format, written down once more."""
    assert raw[:7] == HEADER
    at, whole, found, is_inside = 7, b"", [], False
    while at < len(raw):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        crc, size, kind = struct.unpack_from("<IHB", raw, at)
        content = raw[at + 7 : at + 7 + size]
        assert at // 32768 == (at + 6 + size) // 32768
        assert zlib.crc32(bytes([kind]) + content) == crc
        assert (kind in (3, 4)) == is_inside
        is_inside = kind in (2, 3)
        whole += content
        at += 7 + size
        if kind in (1, 4):
            found.append(whole)
            whole = b""
    assert not is_inside
    return found


@given(st.lists(st.integers(0, 70_000), max_size=8), st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_records_of_any_size_are_found_again_wherever_the_log_was_continued(sizes, cut):
    bodies = [wire.part(3, bytes([number + 1]) * size) for number, size in enumerate(sizes)]
    first = frame(bodies[:cut], 0, 0)
    whole = first + frame(bodies[cut:], len(first), len(bodies[:cut]))
    assert read_log(whole) == [b"\x08" + wire.varint(number + 1) + body for number, body in enumerate(bodies)]


@pytest.mark.parametrize("left", [0, 1, 6, 7, 8, 20])
def test_record_at_the_end_of_a_block_is_found_again(left, tmp_path):
    filler = b"x" * (32768 - 7 - 7 - 2 - 5 - left)
    bodies = [wire.part(3, filler), wire.part(3, b"abc"), wire.part(3, b"def")]
    log = TransactionLog(tmp_path / "run-x.wandb", Extent())
    log.append(bodies[:1])
    log.append(bodies[1:])
    log.close()
    assert len(read_log(log.path.read_bytes())) == 3
    assert list(read_records(log.path, log.extent.size)) == bodies


def test_log_with_a_flipped_bit_is_not_taken_for_whole(tmp_path):
    log = TransactionLog(tmp_path / "run-x.wandb", Extent())
    log.append([wire.part(3, b"abc" * 100)])
    log.close()
    raw = bytearray(log.path.read_bytes())
    raw[50] ^= 1
    log.path.write_bytes(raw)
    with pytest.raises(Gone, match="is broken at byte 7"):
        list(read_records(log.path, log.extent.size))


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), min_size=1, unique=True
    ).flatmap(lambda names: st.tuples(st.just(names), st.lists(NUMBERS, min_size=len(names), max_size=len(names)))),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**40),
    st.floats(0, 4e9),
)
@settings(max_examples=200, deadline=None)
def test_row_is_what_w_and_bs_classes_encode(columns, step, number, at):
    names, values = columns
    rows = Rows(CREATED, count=number)
    out = []
    rows.add(Row(0, step, at, tuple(names), tuple(values)), out)
    history = parsed(out[0]).history
    assert out[0] == history_bytes(history)
    read = items(history.item)
    assert history.step.num == read.pop("_step") == number
    assert (read.pop("step"), read.pop("_timestamp"), read.pop("_runtime")) == (step, at, round(at - CREATED, 6))
    for name, value in zip(names, values, strict=True):
        told = json.loads(next(i.value_json for i in history.item if list(i.nested_key) == [rows.names[name]]))
        assert told == value or (math.isnan(told) and math.isnan(value))


def history_bytes(history):
    from wandb.proto.wandb_internal_pb2 import Record

    return Record(history=history).SerializeToString()


def test_run_is_what_w_and_bs_classes_read():
    told = RunFields("toy", "g", "train", "a note", ("a", "b"), "host", "git@example.org:toy", "c0ffee")
    run = parsed(records.run(SOMEBODY, told, CREATED, {"lr": 0.1, "x": math.inf})).run
    assert (run.run_id, run.entity, run.project) == ("20260101_toy_k7f2", "team", "project")
    assert (run.display_name, run.run_group, run.job_type, run.notes, run.host) == (
        "toy",
        "g",
        "train",
        "a note",
        "host",
    )
    assert (list(run.tags), run.git.remote_url, run.git.commit) == (["a", "b"], "git@example.org:toy", "c0ffee")
    assert run.start_time.ToMicroseconds() == CREATED * 1e6
    assert {item.key: item.value_json for item in run.config.update} == {"lr": "0.1", "x": "Infinity"}


def test_other_records_are_what_w_and_bs_classes_read():
    metric = parsed(records.metric("eval/*", "tokens", best="min", glob=True)).metric
    assert (metric.glob_name, metric.step_metric, metric.summary.min, metric.summary.last) == (
        "eval/*",
        "tokens",
        True,
        True,
    )
    assert (metric.options.step_sync, metric.options.defined, metric.options.hidden) == (True, True, False)
    assert parsed(records.metric("step", hidden=True)).metric.options.hidden
    assert [(file.path, file.type) for file in parsed(records.files(["a/b.png"])).files.files] == [("a/b.png", 2)]
    alert = parsed(records.alert("T", "text", "WARN")).alert
    assert (alert.title, alert.text, alert.level, alert.wait_duration) == ("T", "text", "WARN", 60_000)
    line = parsed(records.output("line\n", CREATED, is_error=True)).output_raw
    assert (line.line, line.output_type, line.timestamp.ToMicroseconds()) == ("line\n", 0, CREATED * 1e6)
    assert (parsed(records.finish(255, 90)).exit.exit_code, parsed(records.finish(255, 90)).exit.runtime) == (255, 90)
    assert parsed(records.header()).header.version_info.producer == "burnish"
    where = parsed(
        records.environment({"host": "h", "gpu_type": "H100"}, {"gpu_count": 8}, ("url", "c0"), "w")
    ).environment
    assert (where.host, where.gpu_type, where.gpu_count, where.git.commit, where.writer_id) == (
        "h",
        "H100",
        8,
        "c0",
        "w",
    )


def test_artifact_is_what_w_and_bs_classes_read():
    told = ArtifactFields("model", "model", "d1", "c1", "s1", {"a": 1}, "words", ("latest", "best"))
    entries = [Entry("a.bin", "md5", 5, "/tmp/a.bin"), Entry("b", "md5", 7, ref="file:///b")]
    artifact = parsed(records.artifact(SOMEBODY, told, entries)).artifact
    assert (artifact.run_id, artifact.project, artifact.entity) == ("20260101_toy_k7f2", "project", "team")
    assert (artifact.name, artifact.type, artifact.digest, artifact.client_id) == ("model", "model", "d1", "c1")
    assert (list(artifact.aliases), artifact.metadata, artifact.finalize) == (["latest", "best"], '{"a": 1}', True)
    first, second = artifact.manifest.contents
    assert (first.path, first.digest, first.size, first.local_path, first.ref) == ("a.bin", "md5", 5, "/tmp/a.bin", "")
    assert (second.ref, second.local_path) == ("file:///b", "")
    assert [(c.key, c.value_json) for c in artifact.manifest.storage_policy_config] == [("storageLayout", '"V2"')]


CLIENT = """
import json, sys, wandb
run = wandb.init(project="p", id="k7f2", name="toy", tags=["a"], config={"lr": 0.1, "x": float("inf")}, dir=sys.argv[1],
                 settings=wandb.Settings(mode="offline", console="off", silent=True, x_disable_stats=True,
                                         disable_git=True, x_disable_meta=True))
run.define_metric("step", hidden=True)
run.define_metric("*", step_metric="step")
for step, row in enumerate(json.loads(sys.argv[2])):
    run.log({**row, "step": step})
run.finish()
"""


def inspect(log):
    core = Path(find_spec("wandb").submodule_search_locations[0]) / "bin" / "wandb-core"
    command = [core, "leet", "inspect", "--no-observability", "--json", "--run-file", log, log.parent]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return [json.loads(line) for line in told.splitlines()]


def test_w_and_bs_own_client_writes_the_same_history_and_definitions(tmp_path):
    values = [1.5, math.nan, math.inf, -math.inf, 1e300, -5e-324, 0.1 + 0.2, 3.0]
    rows = [{"loss": value, "größe/a.b": number / 3} for number, value in enumerate(values)]
    environment = {"HOME": str(tmp_path), "PATH": "", "WANDB_ERROR_REPORTING": "false"}
    command = [sys.executable, "-c", CLIENT, str(tmp_path), json.dumps(rows)]
    subprocess.run(command, env=environment, timeout=120, check=True, capture_output=True)
    (theirs,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    run = RunPaths(tmp_path / "runs" / "20260101_toy_k7f2")
    run.journals.mkdir(parents=True)
    write_json(run.state, {"created": CREATED, "project": "p", "tags": ["a"]})
    run.config.write_text("lr: 0.1\nx: .inf\n")
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    for step, row in enumerate(rows):
        writer.row(tuple(row), tuple(row.values()), step, CREATED + step)
    writer.close()
    (journal,) = journal_files(run.journals)
    reader = JournalReader(journal)
    sink = WandbSink(project="p")
    sink.open(run, {})
    sink.ship(Batch(journal.name, 0, reader.read(), 0, reader.offset))
    reader.close()
    sink.close("finished")
    (ours,) = (run.root / "wandb").glob("offline-run-*/*.wandb")
    shown = []
    for log in (theirs, ours):
        told = inspect(log)
        history = [record["history"] for record in told if record["type"] == "history"]
        for row in history:
            del row["item"]["_timestamp"], row["item"]["_runtime"]
        first = next(record["run"] for record in told if record["type"] == "run")
        config = {name: value for name, value in first["config"]["update"].items() if name not in ("_wandb", "burnish")}
        metrics = [record["metric"] for record in told if record["type"] == "metric"]
        exits = [record["exit"]["exit_code"] for record in told if record["type"] == "exit"]
        shown.append((history, config, first["tags"], first["project"], metrics, exits))
    assert shown[0] == shown[1]
    assert len(shown[0][0]) == len(values)

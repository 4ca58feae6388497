import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from burnish.journal import Row
from burnish.sinks.tensorboard.records import framed
from burnish.sinks.tensorboard.scalars import row_event

steps = st.one_of(st.integers(0, 300), st.integers(-(2**63), 2**63 - 1))
points = st.dictionaries(st.text(max_size=200), st.floats(), max_size=5)


@given(steps, st.floats(), points)
def test_events_of_rows_are_the_bytes_of_protobuf(step, time, values):
    row = Row(0, step, time, tuple(values), tuple(values.values()))
    summary = Summary(value=[Summary.Value(tag=key, simple_value=value) for key, value in values.items()])
    event, beyond = row_event(row)
    assert event == Event(wall_time=time, step=step, summary=summary).SerializeToString()
    with np.errstate(over="ignore"):
        became = [np.isinf(np.float32(value)) and not np.isinf(value) for value in values.values()]
    assert beyond == sum(became)


@given(st.lists(st.binary(max_size=400)))
def test_files_are_the_bytes_of_tensorboards_writer(events):
    written = io.BytesIO()
    writer = RecordWriter(written)
    for event in events:
        writer.write(event)
    assert framed(events) == written.getvalue()


def test_row_of_ten_thousand_values_is_one_event():
    keys = tuple(f"layer/{place}" for place in range(10_000))
    event, _ = row_event(Row(0, 7, 1e9, keys, tuple(map(float, range(10_000)))))
    read = Event.FromString(event)
    assert [value.tag for value in read.summary.value] == list(keys)
    assert [value.simple_value for value in read.summary.value] == list(range(10_000))

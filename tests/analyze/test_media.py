import json
import logging
import math

import numpy as np
import pytest
import torch

from burnish.analyze.media import (
    Histogram,
    contents,
    media,
    read,
    read_graph,
    read_histogram,
    read_picture,
    read_table,
    read_text,
)
from burnish.core.errors import RunError
from burnish.journal import Kind
from burnish.track import Run


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "20260101_toy_k7f2"
    (path / "journal").mkdir(parents=True)
    return path


@pytest.fixture
def run(folder):
    return Run(folder)


def told(folder, **options):
    return [(item.key, item.kind, item.step) for item in media(folder, **options)]


def test_all_that_was_recorded_besides_scalars_is_listed_by_key_and_step(run, folder):
    run.log_model_graph(torch.nn.Linear(2, 3))
    run.log({"loss": 1.0}, 10)
    run.log_text("sample", "good")
    run.log_text("sample", "better", 5)
    run.log_image("digit", np.zeros((4, 6), np.uint8), caption="a zero")
    run.log_attention("att", np.eye(3))
    run.log_table("scores", [{"a": 1, "b": 2.5}] * 3)
    run.log_histogram("grad/w", np.arange(10.0), bins=4)
    run.note("none of these")
    assert told(folder) == [
        ("att", "attention", 10),
        ("digit", "image", 10),
        ("grad/w", "histogram", 10),
        ("model", "graph", None),
        ("sample", "text", 5),
        ("sample", "text", 10),
        ("scores", "table", 10),
    ]
    by_key = {item.key: item for item in media(folder)}
    assert by_key["digit"].shape == (6, 4)
    assert by_key["digit"].caption == "a zero"
    assert by_key["digit"].size_bytes == by_key["digit"].file.stat().st_size
    assert (by_key["scores"].shape, by_key["grad/w"].shape, by_key["sample"].shape) == ((3, 2), (4,), (4,))
    assert by_key["model"].caption == "9 parameters, 9 trainable"


def test_contents_are_read_of_the_last_step_or_of_another(run, folder):
    for step in (1, 2):
        run.log_text("sample", f"text {step}", step)
        run.log_table("scores", [{"a": step, "b": None}], step)
        run.log_histogram("grad", [0.0, 1.0, 1.0, math.nan], step, bins=2)
        run.log_image("digit", np.full((4, 6), step, np.uint8), step)
    assert (read_text(folder, "sample"), read_text(folder, "sample", 1)) == ("text 2", "text 1")
    assert read_table(folder, "scores").rows() == [{"a": 2, "b": None}]
    assert read_table(folder, "scores", 1).rows() == [{"a": 1, "b": None}]
    spread = read_histogram(str(folder), "grad")
    assert (spread.edges, spread.counts, spread.count, spread.nonfinite) == ((0.0, 0.5, 1.0), (1, 2), 3, 1)
    assert (spread.min, spread.max) == (0.0, 1.0)
    assert read_picture(folder, "digit", 1) != read_picture(folder, "digit", 2)
    assert read_picture(folder, "digit").read_bytes().startswith(b"\x89PNG")


def test_a_histogram_of_nothing_finite_has_no_extremes(run, folder):
    run.log_histogram("grad", [math.nan], 1, bins=1)
    assert read_histogram(folder, "grad") == Histogram((0.0, 1.0), (0,), 0, 1, None, None, None, None)


def test_a_graph_is_read_from_its_file(run, folder):
    run.log_model_graph(torch.nn.Linear(2, 3))
    assert [node["class"] for node in read_graph(folder)["nodes"]] == ["Linear"]


def test_a_large_table_is_read_from_its_file(run, folder):
    rows = [{"text": "x" * 100, "number": place if place else math.nan} for place in range(5_000)]
    run.log_table("big", rows, 1)
    (item,) = media(folder)
    assert item.file is not None
    assert item.size_bytes == item.file.stat().st_size > 500_000
    table = read_table(folder, "big")
    assert (len(table), table[4_999]) == (5_000, rows[4_999])
    assert math.isnan(table[0]["number"])


def test_columns_of_one_name_are_told_apart(run, folder):
    run.log_table("t", [[1, 2, 3]], 1, columns=["a", "a", "a"])
    run.log_table("empty", [], 1, columns=["a", "b"])
    assert read_table(folder, "t").rows() == [{"a": 1, "a (2)": 2, "a (3)": 3}]
    assert (list(read_table(folder, "empty").columns), len(read_table(folder, "empty"))) == (["a", "b"], 0)


def test_of_several_at_one_step_all_are_listed_and_the_last_is_read(run, folder):
    for text in "abc":
        run.log_text("sample", text, 3)
    assert len(media(folder)) == 3
    assert read(folder, "sample") == "c"
    assert [content for _, content in contents(folder, media(folder))] == ["a", "b", "c"]


def test_ranks_are_told_apart(run, folder):
    Run(folder, rank=1).log_text("sample", "of rank 1", 1)
    assert told(folder) == []
    assert told(folder, rank=1) == [("sample", "text", 1)]
    assert read_text(folder, "sample", rank=1) == "of rank 1"


def test_what_a_resumed_attempt_replays_is_taken_from_it(folder):
    first = Run(folder)
    for step in range(6):
        first.log({"loss": 1.0}, step)
        first.log_text("sample", f"first {step}")
    first.log_text("arguments", "first", None)
    second = Run(folder, attempt=2)
    second.log_text("fresh", "at no step")
    second.resume(3)
    second.log({"loss": 1.0}, 4)
    second.log_text("sample", "second 4")
    found = [content for item, content in contents(folder, media(folder)) if item.key == "sample"]
    assert found == ["first 0", "first 1", "first 2", "first 3", "second 4"]
    assert read_text(folder, "fresh") == "at no step"


def test_an_attempt_that_starts_anew_replaces_what_was_recorded_from_its_first_row_on(folder):
    first = Run(folder)
    first.log_text("before", "first")
    first.log_text("other", "only the first says this")
    first.log({"loss": 1.0}, 0)
    first.log_text("sample", "first")
    second = Run(folder, attempt=2)
    second.log_text("before", "second")
    second.log({"loss": 1.0}, 0)
    assert told(folder) == [("before", "text", None), ("other", "text", None)]
    assert read_text(folder, "before") == "second"


def test_a_live_run_is_read_as_it_stands(run, folder):
    run.log_text("sample", "one", 1)
    (path,) = (folder / "journal").iterdir()
    whole = path.read_bytes()
    run.log_text("sample", "two", 2)
    path.write_bytes(path.read_bytes()[: len(whole) + 9])  # a frame that is being written
    assert told(folder) == [("sample", "text", 1)]


def test_a_file_that_is_no_journal_hides_nothing(run, folder, caplog):
    run.log_text("sample", "one", 1)
    (folder / "journal" / "0-1-1.journal").write_bytes(b"x" * 100)
    with caplog.at_level(logging.WARNING):
        assert told(folder) == [("sample", "text", 1)]
    assert "it is passed over" in caplog.text


def failure(call, *arguments):
    with pytest.raises(RunError) as caught:
        call(*arguments)
    return caught.value.message, caught.value.hint


def test_what_is_not_there_is_told_with_what_is(run, folder):
    assert failure(read_text, folder, "sample") == ("run k7f2 recorded no 'sample'", "")
    for step in range(20):
        run.log_text("samples", "x", step)
    run.log_text("first", "x", 1)
    assert failure(read_text, folder, "sample") == ("run k7f2 recorded no 'sample'", "did you mean 'samples'?")
    assert failure(read_text, folder, "first", 7) == ("'first' has nothing at step 7", "there are steps 1")
    assert failure(read_text, folder, "samples", 99) == (
        "'samples' has nothing at step 99",
        "there are steps …, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19",
    )


def test_another_kind_is_refused(run, folder):
    run.log_text("t", "x", 1)
    run.log_image("i", np.zeros((2, 2)), 1)
    assert failure(read_table, folder, "t")[0] == "'t' is no table but a text"
    assert failure(read_text, folder, "i")[0] == "'i' is no text but a picture"


def test_a_file_that_changed_went_or_is_a_link_is_told(run, folder):
    run.log_image("i", np.zeros((2, 2)), 1)
    file = read_picture(folder, "i")
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    assert failure(read, folder, "i")[0] == f"the file of 'i', {file}, is not what was recorded: its hash differs"
    file.unlink()
    assert failure(read, folder, "i")[0] == f"the file of 'i', {file}, cannot be read: No such file or directory"
    (folder / "elsewhere").write_bytes(content)
    file.symlink_to(folder / "elsewhere")
    assert failure(read, folder, "i")[0] == f"the file of 'i', {file}, is a link"


@pytest.mark.parametrize(
    "file", ["/etc/passwd", "../secret", "media/../../secret.png", "media/" + "a" * 64 + ".sh", 5, None]
)
def test_a_journal_cannot_name_files_outside_of_its_run(run, folder, file):
    (folder.parent / "secret").write_text("secret")
    run._writer.record(Kind.MEDIA, "i", {"type": "image", "file": file}, 1)
    assert media(folder)[0].file is None
    assert failure(read, folder, "i")[0] == "the journal names no file of the run for 'i'"


@pytest.mark.parametrize(
    ("kind", "payload", "message"),
    [
        (Kind.TABLE, {"columns": ["a"], "rows": [[1], [1, 2]]}, "'x' is no table: its rows differ in length"),
        (Kind.TABLE, {"columns": ["a"]}, "the journal names no file of the run for 'x'"),
        (Kind.HISTOGRAM, {"edges": [0], "counts": [1]}, "'x' is no histogram: it has 1 edges for 1 counts"),
        (Kind.HISTOGRAM, {}, "'x' is no histogram: it has 0 edges for 0 counts"),
        (Kind.MEDIA, {"type": "graph", "file": {}}, "the journal names no file of the run for 'x'"),
    ],
)
def test_payloads_of_another_shape_are_refused(run, folder, kind, payload, message):
    run._writer.record(kind, "x", payload, 1)
    assert failure(read, folder, "x")[0] == message


def test_a_file_that_holds_something_else_is_refused(run, folder):
    from burnish.track.blobs import store_blob

    blob = store_blob(folder, json.dumps([1]).encode(), "json")
    run._writer.record(Kind.MEDIA, "x", {"type": "graph", "file": blob.file}, 1)
    assert media(folder)[0].size_bytes == 3
    assert failure(read, folder, "x")[0] == "the file of 'x' holds no graph"


def test_a_damaged_file_hides_no_other(run, folder):
    run.log_image("a", np.zeros((2, 2)), 1)
    run.log_text("b", "whole", 1)
    read_picture(folder, "a").write_bytes(b"")
    found = {item.key: content for item, content in contents(folder, media(folder))}
    assert isinstance(found["a"], RunError)
    assert found["b"] == "whole"

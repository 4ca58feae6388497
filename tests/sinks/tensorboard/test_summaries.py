import io

import numpy as np
import pytest
from PIL import Image

from burnish.journal import JournalWriter, Kind
from burnish.journal.reader import SYSTEM_RANK
from burnish.track.blobs import store_blob
from burnish.track.histogram import histogram
from burnish.track.table import table, table_payload

GRAPH_BEYOND_64_BITS = b'{"nodes": [{"name": "", "class": "Big", "parameters": 1000000000000000000000}], "edges": []}'


def write(shipping, *records, attempt=1, rank=0):
    """Write a journal of records: kind, key, payload, step; of rows: a step alone."""
    writer = JournalWriter(shipping.run.journals, rank, lambda: {"attempt": attempt})
    for record in records:
        if isinstance(record, int):
            writer.row(("loss",), (float(attempt),), record, 1e9)
        else:
            writer.record(*record)
    writer.close()


def picture(shipping, shade=0, kind="image", **more):
    content = io.BytesIO()
    Image.new("L", (3, 2), shade).save(content, "PNG")
    blob = store_blob(shipping.run.root, content.getvalue(), "png")
    return {"type": kind, "file": blob.file, "sha256": blob.sha256, "width": 3, "height": 2, "caption": "", **more}


def resume(step):
    return Kind.LIFECYCLE, "resume", {}, step


def test_histogram_has_its_bins_and_moments(shipping):
    values = np.random.default_rng(1).normal(5, 2, 1000)
    write(shipping, (Kind.HISTOGRAM, "reward", histogram(values, bins=30), 4))
    shipping.ship()
    (event,) = shipping.shown().Histograms("reward/histogram")
    shown = event.histogram_value
    counts, edges = np.histogram(values, 30)
    assert (event.step, shown.num, shown.min, shown.max) == (4, 1000, values.min(), values.max())
    np.testing.assert_array_equal(shown.bucket[1:], counts)
    np.testing.assert_array_equal(shown.bucket_limit, edges)
    np.testing.assert_allclose([shown.sum, shown.sum_squares], [values.sum(), (values**2).sum()])
    assert "mapped" not in shipping.state


def test_histogram_of_what_is_not_finite_is_shown_without_it_and_counted(shipping):
    write(
        shipping,
        (Kind.HISTOGRAM, "a", histogram([1.0, float("nan"), float("inf")]), 1),
        (Kind.HISTOGRAM, "b", histogram([1e300, -1e300]), 1),
        (Kind.HISTOGRAM, "c", histogram([]), 1),
    )
    shipping.ship()
    shown = shipping.shown()
    assert [shown.Histograms(f"{key}/histogram")[0].histogram_value.num for key in "abc"] == [1, 2, 0]
    assert shipping.mapped == {"histogram without what is not finite": 1, "histogram beyond 32 bits": 1}


@pytest.mark.parametrize("kind", ["image", "figure", "attention"])
def test_picture_is_shown_with_its_caption_as_text(shipping, kind):
    told = picture(shipping, kind=kind, caption="größer")
    write(shipping, (Kind.MEDIA, "eval/map", told, 3), (Kind.MEDIA, "eval/map", picture(shipping, 9, kind), 4))
    shipping.ship()
    first, second = shipping.shown().Images(f"eval/map/{kind}")
    assert (first.step, first.width, first.height, second.step) == (3, 3, 2, 4)
    assert first.encoded_image_string == (shipping.run.root / told["file"]).read_bytes()
    assert shipping.texts("eval/map/caption") == [(3, "größer")]
    assert shipping.mapped == {"caption as text": 1}


def test_picture_that_is_missing_damaged_or_elsewhere_is_counted_and_passed_over(shipping, tmp_path):
    missing, damaged, good = picture(shipping, 1), picture(shipping, 2), picture(shipping, 3)
    (shipping.run.root / missing["file"]).unlink()
    (shipping.run.root / damaged["file"]).write_bytes(b"short")
    (tmp_path / "secret").write_text("s")
    told = [missing, damaged, *({**good, "file": file} for file in ("../../secret", "/etc/passwd", "a\0b", 3, None))]
    write(shipping, *((Kind.MEDIA, "x", one, 1) for one in told), (Kind.MEDIA, "x", good, 2), 3)
    shipping.ship()
    assert shipping.steps("x/image", "images") == [2]
    assert shipping.steps("loss") == [3]
    assert shipping.mapped == {"file missing or damaged": 7}


def test_picture_whose_file_is_a_folder_a_pipe_or_huge_is_counted(shipping):
    import os

    folder, pipe, huge = (picture(shipping, shade) for shade in (1, 2, 3))
    paths = [shipping.run.root / one["file"] for one in (folder, pipe, huge)]
    for path in paths[:2]:
        path.unlink()
    paths[0].mkdir()
    os.mkfifo(paths[1])
    os.truncate(paths[2], 1 << 30)
    write(shipping, *((Kind.MEDIA, "x", one, 1) for one in (folder, pipe, huge)))
    shipping.ship()
    assert shipping.mapped == {"file missing or damaged": 2, "file too large": 1}


def test_text_is_markdown_under_its_key(shipping):
    write(
        shipping, (Kind.TEXT, "sample", {"text": "# größe\n\n*x*"}, 3), (Kind.TEXT, "long", {"text": "é" * 300_000}, 3)
    )
    shipping.ship()
    assert shipping.texts("sample/text") == [(3, "# größe\n\n*x*")]
    assert shipping.texts("long/text") == [(3, "é" * 200_000 + "…")]
    assert shipping.mapped == {"text cut": 1}
    assert shipping.shown().SummaryMetadata("sample/text").plugin_data.plugin_name == "text"


@pytest.mark.filterwarnings("ignore:html5lib's sanitizer:DeprecationWarning")
def test_table_is_a_table_in_the_text_tab_whatever_its_cells_hold(shipping):
    from tensorboard.plugin_util import markdown_to_safe_html

    rows = [{"prompt": "2*2|3\n<b>`x`_y_", "score": 0.5}, {"prompt": None, "score": float("nan")}]
    write(shipping, (Kind.TABLE, "gen", table_payload(shipping.run.root, *table(rows)), 2))
    shipping.ship()
    ((step, text),) = shipping.texts("gen/table")
    html = "".join(markdown_to_safe_html(text).split("\n"))
    assert step == 2
    assert "<th>prompt</th><th>score</th>" in html
    assert "<td>2*2&#124;3<br>&lt;b&gt;`x`_y_</td><td>0.5</td>" in html
    assert "<td></td><td>nan</td>" in html
    assert shipping.mapped == {"table as text": 1}


def test_rows_of_a_long_table_are_left_out_and_counted_also_where_it_lies_in_a_file(shipping):
    payload = table_payload(shipping.run.root, ["a", "b"], [[place, "x" * 5_000] for place in range(130)])
    assert "file" in payload
    short = table_payload(shipping.run.root, ["a"], [[place] for place in range(101)])
    write(shipping, (Kind.TABLE, "big", payload, 1), (Kind.TABLE, "short", short, 1))
    shipping.ship()
    ((_, text),) = shipping.texts("big/table")
    assert text.count("\n| ") == 100
    assert text.endswith("\n… and 30 more rows")
    assert shipping.mapped == {"table as text": 2, "row of a table cut or left out": 131}


def test_alerts_and_notes_are_texts_each_alert_under_its_title(shipping):
    alert = {"text": "by 3", "level": "error", "reason": "alert"}
    write(shipping, (Kind.ALERT, "loss spiked", alert, 5), (Kind.LIFECYCLE, "note", {"text": "try lr 2"}, 5))
    write(shipping, (Kind.ALERT, "no progress", alert, 7), rank=SYSTEM_RANK)
    shipping.ship()
    assert shipping.texts("alerts/loss spiked") == [(5, "**error: loss spiked**\n\nby 3")]
    assert shipping.texts("alerts/no progress", "system") == [(7, "**error: no progress**\n\nby 3")]
    assert shipping.texts("notes/text") == [(5, "try lr 2")]
    assert "mapped" not in shipping.state


def test_what_tensorboard_has_no_place_for_is_counted(shipping):
    records = [(Kind.LOG, "root", {"message": "x"}, 1), (Kind.CHECKPOINT, "c", {}, 1), (Kind.ARTIFACT, "a", {}, 1)]
    write(shipping, *records, (99, "of tomorrow", {}, 1), (Kind.MEDIA, "film", {"type": "film"}, 1))
    shipping.ship()
    rules = ("log record", "checkpoint", "artifact", "unknown record")
    assert shipping.mapped == {f"{rule} left out": 1 + (rule == "unknown record") for rule in rules}


def test_records_that_make_no_sense_are_counted_and_stop_nothing(shipping):
    write(
        shipping,
        (Kind.HISTOGRAM, "h", {"edges": [1.0], "counts": [1, 2]}, 1),
        (Kind.HISTOGRAM, "h", {"edges": ["x"], "counts": []}, 1),
        (Kind.HISTOGRAM, "h", {}, 1),
        (Kind.HISTOGRAM, "h", {"edges": [], "counts": []}, 1),
        (Kind.TEXT, "t", {"text": 3}, 1),
        (Kind.TABLE, "t", {"columns": [1], "rows": None}, 1),
        (Kind.TABLE, "t", {"columns": ["a"], "rows": [3]}, 1),
        (Kind.MEDIA, "m", {**picture(shipping), "width": 2**40}, 1),
        (Kind.MEDIA, "m", {**picture(shipping), "width": "x"}, 1),
        (Kind.ALERT, "a", {}, 1),
        (Kind.LIFECYCLE, "note", {}, 1),
        (Kind.MEDIA, "g", {"type": "graph", **_json_blob(shipping, b"[" * 100_000)}, None),
        (Kind.MEDIA, "g", {"type": "graph", **_json_blob(shipping, b'{"nodes": 3}')}, None),
        (Kind.MEDIA, "g", {"type": "graph", **_json_blob(shipping, GRAPH_BEYOND_64_BITS)}, None),
        (Kind.TABLE, "f", {"columns": ["a"], "row_count": 1, **_json_blob(shipping, b"{")}, 1),
        (Kind.TEXT, "", {"text": "no key"}, 1),
        5,
    )
    shipping.ship()
    assert shipping.steps("loss") == [5]
    assert shipping.texts("/text") == [(1, "no key")]
    assert shipping.mapped == {"record not understood": 15}


def _json_blob(shipping, content):
    blob = store_blob(shipping.run.root, content, "json")
    return {"file": blob.file, "sha256": blob.sha256}


def of_every_kind(shipping, step, attempt):
    return (
        (Kind.HISTOGRAM, "h", histogram([attempt, 0.0]), step),
        (Kind.MEDIA, "m", picture(shipping, attempt), step),
        (Kind.TEXT, "t", {"text": f"{attempt}"}, step),
    )


@pytest.mark.parametrize("told", [True, False])
def test_media_of_replayed_steps_is_shown_once_the_newer(shipping, told):
    write(shipping, *(one for step in range(6) for one in (step, *of_every_kind(shipping, step, 1))))
    later = [one for step in range(3, 8) for one in (*of_every_kind(shipping, step, 2), step)]
    write(shipping, *([resume(2)] if told else []), *later, attempt=2)
    shipping.ship()
    shown = shipping.shown()
    assert [event.step for event in shown.Scalars("loss")] == list(range(8))
    assert [event.histogram_value.max for event in shown.Histograms("h/histogram")] == [1] * 3 + [2] * 5
    assert [event.step for event in shown.Histograms("h/histogram")] == list(range(8))
    assert [event.step for event in shown.Images("m/image")] == list(range(8))
    assert shipping.texts("t/text") == [(step, "1" if step < 3 else "2") for step in range(8)]


def test_what_is_said_before_any_step_outlives_a_restart_from_the_first_step(shipping):
    write(shipping, (Kind.TEXT, "args", {"text": "old"}, None), 0, 1, 2)
    write(shipping, (Kind.TEXT, "args", {"text": "new"}, None), 0, 1, attempt=2)
    write(shipping, resume(4), (Kind.TEXT, "args", {"text": "newest"}, None), 5, attempt=3)
    shipping.ship()
    assert shipping.texts("args/text") == [(-1, "new"), (5, "newest")]
    assert shipping.steps("loss") == [0, 1, 5]


def test_one_key_may_name_a_scalar_and_things_of_other_kinds(shipping):
    write(shipping, 1, *((kind, "loss", payload, 1) for kind, _, payload, _ in of_every_kind(shipping, 1, 1)))
    shipping.ship()
    assert set(shipping.shown().Tags()["histograms"]) == {"loss/histogram"}
    assert shipping.steps("loss") == [1]
    assert shipping.texts("loss/text") == [(1, "1")]


def test_thousand_pictures_in_one_batch_are_written_in_pieces(shipping, monkeypatch):
    from burnish.sinks.tensorboard import sink

    records = [(Kind.MEDIA, "m", picture(shipping, shade), shade) for shade in range(256)]
    write(shipping, *records, 300)
    shipping.ship()
    at_once, state = shipping.files, shipping.state
    monkeypatch.setattr(sink, "_PIECE_BYTES", 1_000)
    shipping.state, shipping.offsets = {}, {}
    shipping.ship()
    assert (shipping.files, shipping.state) == (at_once, state)
    assert shipping.steps("m/image", "images") == list(range(256))

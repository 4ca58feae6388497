from burnish.journal import Kind, Record, Row
from burnish.journal.reader import JournalName
from burnish.launch.labels import Labels

LEADER, OTHER = JournalName(0, 1, 10), JournalName(1, 1, 11)


def said(key, step=None, at=0.0, kind=Kind.LIFECYCLE, **payload):
    return Record(kind, 0, step, at, key, payload)


def made(name, sha256="aa", role="made", **more):
    return said(name, 3, kind=Kind.ARTIFACT, role=role, sha256=sha256, bytes=5, kind_=None, **more)


def labels(*entries):
    found = Labels()
    for entry, source in entries:
        found.take(entry, source)
    return found


def test_tags_are_kept_once_in_the_order_in_which_they_were_given():
    found = labels((said("tag", tags=["b", "a"]), LEADER), (said("tag", tags=["a", "c"]), LEADER))
    assert list(found.tags) == ["b", "a", "c"]


def test_words_of_other_ranks_repeat_those_of_the_leader():
    found = labels((said("note", at=7.0, text="warm"), LEADER), (said("note", at=8.0, text="warm"), OTHER))
    assert found.notes == [{"time": 7.0, "text": "warm"}]


def test_a_metric_that_is_said_again_counts_as_said_last():
    found = labels(
        (said("metric", pattern="eval/*", axis="tokens", best="min"), LEADER),
        (said("metric", pattern="eval/x", axis="step", best="max"), LEADER),
        (said("metric", pattern="eval/*", axis="time", best="sideways"), LEADER),
    )
    assert list(found.metrics.items()) == [
        ("eval/x", {"axis": "step", "best": "max"}),
        ("eval/*", {"axis": "time", "best": ""}),
    ]


def test_dropped_values_add_up_over_processes_each_of_which_tells_its_total():
    found = labels(
        (said("thinned", dropped={"grad/*": 5}), LEADER),
        (said("thinned", dropped={"grad/*": 9, "lr": 1}), LEADER),
        (said("thinned", dropped={"grad/*": 2, "odd": "x"}), OTHER),
    )
    assert found.thinned == {"grad/*": 11, "lr": 1}


def test_the_same_file_of_two_ranks_is_one_artifact():
    found = labels((made("model", path="a"), LEADER), (made("model", path="b"), OTHER), (made("model", "bb"), OTHER))
    assert [(a["name"], a["sha256"], a["path"], a["step"]) for a in found.artifacts.values()] == [
        ("model", "aa", "b", 3),
        ("model", "bb", None, 3),
    ]


def test_made_and_used_are_told_apart():
    found = labels((made("model"), LEADER), (made("model", role="used", run="k7f2"), LEADER))
    assert [(a["role"], a["run"]) for a in found.artifacts.values()] == [("made", None), ("used", "k7f2")]


def test_rows_and_unknown_records_say_nothing():
    assert labels((Row(0, 1, 0.0, ("a",), (1.0,)), LEADER), (said("odd"), LEADER)) == Labels()


def recorded(key, step, kind=Kind.TEXT, **payload):
    return said(key, step, kind=kind, **payload)


def begun(attempt):
    return said("open", attempt=attempt)


def row(step):
    return Row(0, step, 0.0, ("loss",), (1.0,))


def led(*entries):
    return labels(*((entry, LEADER) for entry in entries))


def test_media_are_counted_by_key_with_kind_and_last_step():
    found = led(
        recorded("eval/sample", 5),
        recorded("eval/sample", 3),
        recorded("eval/table", 4, Kind.TABLE),
        recorded("grad/w", 0, Kind.HISTOGRAM),
        *(recorded(f"x/{kind}", 1, Kind.MEDIA, type=kind) for kind in ("image", "figure", "attention", "graph")),
    )
    assert found.media == {
        "eval/sample": {"kind": "text", "count": 2, "last_step": 5},
        "eval/table": {"kind": "table", "count": 1, "last_step": 4},
        "grad/w": {"kind": "histogram", "count": 1, "last_step": 0},
        **{
            f"x/{kind}": {"kind": kind, "count": 1, "last_step": 1}
            for kind in ("image", "figure", "attention", "graph")
        },
    }


def test_media_of_other_ranks_and_of_unknown_types_are_not_counted():
    odd = [recorded("a", 1, Kind.MEDIA, type=value) for value in ("hologram", None, ["image"])]
    assert led(*odd).media == {}
    assert labels((recorded("a", 1), OTHER)).media == {}


def test_media_beyond_a_thousand_keys_are_one_entry():
    found = led(*(recorded(f"sample/{step}", step) for step in range(1_500)), recorded("sample/7", 9_000))
    assert len(found.media) == 1_001
    assert found.media["…"] == {"kind": "other", "count": 500, "last_step": 1_499}
    assert found.media["sample/7"] == {"kind": "text", "count": 2, "last_step": 9_000}


def test_media_that_a_resumed_attempt_replays_are_counted_once():
    found = led(
        begun(1), *(recorded("a", step) for step in range(10)), begun(2), said("resume", 5), recorded("a", 6), row(6)
    )
    assert found.media == {"a": {"kind": "text", "count": 7, "last_step": 6}}


def test_an_attempt_that_does_not_say_where_it_goes_on_replays_from_its_first_row():
    found = led(begun(1), recorded("a", 1), recorded("a", 4), begun(2), recorded("a", 3), row(3), row(4))
    assert found.media == {"a": {"kind": "text", "count": 2, "last_step": 3}}
    assert led(begun(1), recorded("a", 1), begun(2), row(0)).media == {}


def test_what_is_recorded_at_no_step_counts_for_the_newest_attempt():
    graph = recorded("model", None, Kind.MEDIA, type="graph")
    found = led(begun(1), graph, graph, begun(2), said("resume", 5), graph)
    assert found.media == {"model": {"kind": "graph", "count": 1, "last_step": None}}


def test_a_key_recorded_very_often_is_counted_exactly_in_little_memory():
    found = led(begun(1), *(recorded("a", step) for step in range(100_000)), begun(2), said("resume", 99_500))
    assert found.media == {"a": {"kind": "text", "count": 99_501, "last_step": 99_500}}
    assert len(found._media["a"].recent) < 2_048

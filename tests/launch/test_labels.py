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

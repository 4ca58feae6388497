from __future__ import annotations

import json

import pytest

A = "20261121_toy_aaaa"


def metric(**more):
    return {"count": 4, "first": 1.0, "last": 0.25, "min": 0.25, "max": 1.0, "last_step": 3, **more}


@pytest.fixture
def lines(burnish, recorded):
    """Return a function that shows a run with this record (and card), line by line."""

    def show(card=None, **record):
        folder = recorded(A, **record)
        if card is not None:
            (folder / "card.json").write_text(json.dumps(card))
        done = burnish("show", "aaaa")
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return show


def table(lines, head):
    start = next(number for number, line in enumerate(lines) if line.startswith(head))
    return [" ".join(line.split()) for line in lines[start:]]


def test_a_plain_run_shows_nothing_that_it_has_not(lines):
    shown = lines(summary={"train/loss": metric()})
    assert shown[0] == f"{A}  finished"
    assert shown[1].startswith("  folder       ")
    assert shown[2] == ""
    assert table(shown, "metric") == ["metric first last min max points", "train/loss 1 0.25 0.25 1 4"]


def test_best_and_numbers_that_are_not_finite_are_columns_when_there_are_any(lines):
    shown = lines(summary={"eval/acc": metric(best=1.0, best_step=0, nonfinite=0), "gap": metric(nonfinite=2)})
    assert table(shown, "metric") == [
        "metric first last min max best (step) points not finite",
        "eval/acc 1 0.25 0.25 1 1 (0) 4 0",
        "gap 1 0.25 0.25 1 – 4 2",
    ]


def test_a_best_of_zero_is_shown(lines):
    assert table(lines(summary={"kl": metric(best=0.0, best_step=2)}), "kl") == ["kl 1 0.25 0.25 1 0 (2) 4"]


def test_tags_pin_and_notes_are_shown(burnish, lines):
    lines(tags=["given"], notes=[{"time": 0, "text": "from the loop"}])
    burnish("tag", "aaaa", "+mine")
    burnish("pin", "aaaa")
    burnish("note", "aaaa", "first\nsecond")
    shown = burnish("show", "aaaa").stdout.splitlines()
    assert "  tags         given mine" in shown
    assert "  pinned" in shown
    at = shown.index("  note         1970-01-01T00:00:00.000Z")
    assert shown[at + 1] == "               from the loop"
    assert shown[at + 3 : at + 5] == ["               first", "               second"]


def test_alerts_are_shown_with_time_level_and_step(lines):
    alert = {"time": 0, "reason": "nan", "level": "error", "title": "loss is nan", "text": "a\nb", "step": 7}
    assert "  alert        1970-01-01T00:00:00.000Z  error: loss is nan: a, step 7" in lines(alerts=[alert])


def test_artifacts_are_shown_with_role_kind_size_and_a_short_digest(lines):
    made = {"role": "made", "name": "adapter", "kind": "model", "bytes": 3 << 20, "sha256": "ab" * 32, "path": "x"}
    used = {"role": "used", "name": "set", "kind": "", "bytes": 512, "sha256": "cd" * 32, "run": "20261101_x_zzzz"}
    assert table(lines(artifacts=[made, used]), "artifact") == [
        "artifact role kind size sha256",
        "adapter made model 3.0 MiB abababababab",
        "set used, of 20261101_x_zzzz – 0.5 KiB cdcdcdcdcdcd",
    ]


def test_what_was_left_out_or_lost_and_what_is_behind_is_told(lines):
    shown = lines(
        thinned={"grad/*": 12_000, "none": 0},
        dropped=3,
        sinks={
            "tensorboard": {"shipped": 9, "behind_bytes": 0, "error": ""},
            "mlflow": {"shipped": 0, "behind_bytes": 2048, "error": "connection refused"},
        },
    )
    assert "  thinned      points left out by rule: grad/* 12,000" in shown
    assert "  dropped      3 calls whose record could not be written" in shown
    assert "  behind       mlflow, 2.0 KiB of journal not shipped: connection refused" in shown
    assert not [line for line in shown if "tensorboard" in line]


@pytest.mark.parametrize("missing", [["commit", "data"], [{"field": "commit", "todo": "…"}, {"field": "data"}]])
def test_completeness_of_the_card_is_shown_with_what_is_missing(lines, missing):
    shown = lines(card={"format": 1, "completeness": {"score": 0.934, "missing": missing}})
    assert "  card         93% complete, without commit, data" in shown


def test_a_complete_card_is_told(lines):
    assert "  card         100% complete" in lines(card={"completeness": {"score": 1, "missing": []}})


def test_a_record_of_any_shape_is_shown(lines):
    shown = lines(
        tags="x",
        notes=[1, {"time": None, "text": "y"}],
        alerts=["a", {}],
        artifacts=[3, {"bytes": "many"}],
        thinned=[1],
        sinks={"a": 1},
        summary={"a": metric(best="x"), "b": 3},
        dropped="many",
        lineage=3,
    )
    assert shown[0] == f"{A}  finished"


def test_show_as_json_has_annotations_and_everything_of_the_record(burnish, recorded):
    recorded(A, thinned={"grad/*": 1}, alerts=[{"title": "x"}])
    burnish("tag", "aaaa", "+mine")
    shown = burnish.json("show", "aaaa")
    assert set(shown) == {"run", "card", "checkpoints"}
    run = shown["run"]
    assert (run["tags"], run["pinned"], run["notes"]) == (["mine"], False, [])
    assert (run["thinned"], run["alerts"]) == ({"grad/*": 1}, [{"title": "x"}])

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
    lines(tags=["given", "of two words"], notes=[{"time": 0, "text": "from the loop"}])
    burnish("tag", "aaaa", "+mine")
    burnish("pin", "aaaa")
    burnish("note", "aaaa", "first\nsecond")
    shown = burnish("show", "aaaa").stdout.splitlines()
    assert "  tags         given 'of two words' mine" in shown
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
        thinned={"grad/*, weight/*": 12_000, "lr": 3, "none": 0},
        lost=[{"kind": "table", "key": "samples", "error": "ValueError: no columns\nmore"}, 3],
        dropped=3,
        sinks={
            "tensorboard": {"shipped": 9, "behind_bytes": 0, "error": ""},
            "wandb": {
                "behind_bytes": 0,
                "error": "",
                "where": "wandb/offline-run-x",
                "mapped": {"log line": 1200, "a": 0},
            },
            "mlflow": {"shipped": 0, "behind_bytes": 2048, "error": "connection refused"},
        },
    )
    assert "  thinned      points left out by rule: 12,000 of grad/*, weight/*; 3 of lr" in shown
    assert "  not kept     table samples: ValueError: no columns" in shown
    assert "  dropped      3 calls whose record could not be written" in shown
    assert "  behind       mlflow, 2.0 KiB of journal not shipped: connection refused" in shown
    assert "  tracker      wandb: wandb/offline-run-x" in shown
    assert "               wandb holds otherwise, or not at all: log line 1,200" in shown
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
        lost=3,
        media={"a": 1, "b": {}},
        metrics={"a": 3},
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


def test_the_state_is_not_repeated_as_its_reason(lines):
    assert lines(state="finished", reason="finished")[1].startswith("  folder")


def test_another_reason_is_told(lines):
    assert lines(state="failed", reason="killed by SIGKILL")[:2] == [f"{A}  failed", "  killed by SIGKILL"]


def test_config_is_the_second_table_and_a_long_one_says_where_the_rest_is(burnish, recorded):
    folder = recorded(A, summary={"loss": metric()})
    (folder / "config.yaml").write_text(json.dumps({"lr": 0.1, "opt": {"name": "adam"}}))
    shown = burnish("show", "aaaa").stdout.splitlines()
    assert table(shown, "metric")[2:] == ["", "config value", "lr 0.1", "opt.name adam"]
    (folder / "config.yaml").write_text(json.dumps({f"k{number:02}": "x" * 100 for number in range(42)}))
    rows = table(burnish("show", "aaaa").stdout.splitlines(), "config")
    assert (rows[1], rows[-1]) == (f"k00 {'x' * 59}…", "… and 2 more burnish config show aaaa")


def test_of_an_experiment_the_values_that_were_written_are_shown(burnish):
    assert burnish("run", burnish.toy(max_steps=4), "--seed", "7").returncode == 0
    rows = table(burnish("show", burnish.records()[0]["id"]).stdout.splitlines(), "config")
    assert "max_steps 4" in rows
    assert "seed 7" in rows
    assert not [row for row in rows if row.startswith(("save_every", "step_s"))]


def test_pictures_tables_and_histograms_are_told_by_kind(lines):
    shown = lines(
        media={
            "samples": {"kind": "image", "count": 3, "last_step": 40},
            **{f"grad/{number}": {"kind": "histogram", "count": 9, "last_step": 9} for number in range(4)},
        }
    )
    assert "  histograms   grad/* (4 keys)" in shown
    assert "  images       samples (3, last at step 40)" in shown


def test_code_without_git_is_one_line(lines):
    shown = lines(card={"code": None, "completeness": {"score": 0.9, "missing": [{"field": "commit"}]}})
    assert shown[-2:] == ["  code         not in git", "  card         90% complete, without commit"]


MANY = {f"grad_norm/{number}": metric() for number in range(9)}


def test_metrics_are_ordered_and_many_alike_are_one_line(burnish, recorded, on_terminal):
    recorded(A, summary={"system/cpu": metric(), **MANY, "train/loss": metric(), "eval/acc": metric()})
    done = burnish("show", "aaaa")
    rows = [row.split()[0] for row in table(done.stdout.splitlines(), "metric")]
    assert rows == ["metric", "eval/acc", "train/loss", "grad_norm/*", "system/cpu"]
    assert done.stderr == ""
    assert on_terminal(120, "show", "aaaa")[-1] == "hint: each of them: burnish show aaaa --metrics 'grad_norm/*'"


def test_metrics_of_a_pattern_are_all_that_is_shown(burnish, recorded):
    recorded(A, summary={**MANY, "disk_free_bytes": metric(last=82e9), "train/loss": metric()})
    done = burnish("show", "aaaa", "--metrics", "grad_norm/*", "--metrics", "disk*")
    head, *rows = done.stdout.splitlines()
    assert head.split()[0] == "metric"
    assert [row.split()[0] for row in rows] == ["disk_free_bytes", *MANY]
    assert rows[0].split()[1:5] == ["1", "B", "76.4", "GiB"]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("glob", "told"),
    [
        ("nope/*", "error: no metric fits 'nope/*'\nhint: there are grad_norm/* (9), train/* (1)\n"),
        ("grad/*", "error: no metric fits 'grad/*'\nhint: did you mean grad_norm/*?\n"),
        ("train/los", "error: no metric is called 'train/los'\nhint: did you mean train/loss?\n"),
    ],
)
def test_a_pattern_that_fits_nothing_says_what_there_is(burnish, recorded, glob, told):
    recorded(A, summary={**MANY, "train/loss": metric()})
    done = burnish("show", "aaaa", "--metrics", glob)
    assert (done.returncode, done.stderr) == (1, told)


def test_the_card_is_rendered_from_the_record_as_it_stands(burnish, recorded):
    elsewhere = {"pid": 4_000_000, "started_ticks": 1, "boot": "other", "host": "other"}  # so that nobody adopts it
    live = {"state": "running", "step": 70, "started": 1.8e9, "supervisor": elsewhere}
    folder = recorded(A, **live, summary={"train/loss": metric()})
    (folder / "card.json").write_text(json.dumps({"format": 1, "uuid": "u", "command": ["python"]}))
    (folder / "card.md").write_text("# stale\n")
    burnish("tag", "aaaa", "+mine")
    shown = burnish("show", "aaaa", "--card").stdout.splitlines()
    assert shown[2] == "**running**, at step 70, not ended, 0 attempts, tagged `mine`."
    assert "| train/loss | 1 | 0.25 | 0.25 | 1 |" in shown


def test_a_run_without_a_card_has_one_all_the_same(burnish, recorded):
    recorded(A)
    assert burnish("show", "aaaa", "--card").stdout.startswith(f"# {A}\n")


WIDE = {f"eval/a_long_name_of_a_metric_{number}": metric(best=0.25, best_step=3) for number in range(2)}


@pytest.mark.parametrize(
    ("columns", "head"),
    [
        (60, "metric first last best (step)"),
        (80, "metric first last min max best (step) points"),
        (20, "metric last best (step)"),
    ],
)
def test_a_narrow_terminal_drops_columns_and_breaks_no_name(burnish, recorded, on_terminal, columns, head):
    recorded(A, summary=WIDE)
    shown = on_terminal(columns, "show", "aaaa")
    rows = table(shown, "metric")
    assert rows[0] == head
    assert [row.split()[0] for row in rows[1:3]] == list(WIDE)


def test_the_card_of_a_live_run_has_its_metrics(burnish, eventually):
    training = burnish.start("run", burnish.toy(max_steps=500, step_s=0.02))
    eventually(lambda: burnish.records() and burnish.records()[0].get("step", -1) >= 2, "the run to log")
    card = burnish("show", burnish.records()[0]["id"], "--card").stdout
    training.terminate()
    training.communicate()
    assert "\n**running**, at step " in card
    assert "\n| train/loss | 1 | " in card
    assert "\n| max_steps | 500 |\n" in card
    assert "\n- live: what the training process reports is added when it ends\n" in card

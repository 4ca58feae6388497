import json
import logging
import math
import multiprocessing
import os
import re
import shutil
import signal

import numpy as np
import pytest

from burnish.journal import Kind
from burnish.journal.reader import journal_files
from burnish.track import Run
from burnish.track.tiers import Tier, Tiers


def test_histogram_table_and_picture_belong_to_the_last_step_that_was_logged(run, folder, records):
    run.log({"loss": 0.5}, 7)
    run.log_histogram("weights", np.arange(100.0), bins=4)
    run.log_table("samples", [{"prompt": "2+2", "reward": 1.0}], step=9)
    run.log_image("digit", np.zeros((4, 6), np.uint8), caption="a zero")
    (histogram,) = records(run, Kind.HISTOGRAM)
    assert (histogram.key, histogram.step, histogram.payload["counts"]) == ("weights", 7, [25, 25, 25, 25])
    (table,) = records(run, Kind.TABLE)
    assert (table.step, table.payload["columns"], table.payload["rows"]) == (9, ["prompt", "reward"], [["2+2", 1.0]])
    (image,) = records(run, Kind.MEDIA)
    assert (image.step, image.payload["width"], image.payload["height"]) == (7, 6, 4)
    assert (image.payload["type"], image.payload["caption"]) == ("image", "a zero")
    assert (folder / image.payload["file"]).stat().st_size == image.payload["bytes"]


def test_before_the_first_step_a_record_has_none(run, records):
    run.log_histogram("weights", [1.0, 2.0])
    assert records(run, Kind.HISTOGRAM)[0].step is None


def test_figure_is_kept_as_it_looks_and_not_closed(run, folder, records):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, axes = pyplot.subplots()
    axes.plot([1, 2, 3])
    run.log_figure("curve", figure, 1)
    assert pyplot.fignum_exists(figure.number)
    pyplot.close(figure)
    (record,) = records(run, Kind.MEDIA)
    assert record.payload["type"] == "figure"
    assert (folder / record.payload["file"]).read_bytes().startswith(b"\x89PNG")


def test_attention_and_model_graph_are_kept(run, folder, records):
    torch = pytest.importorskip("torch")
    run.log_attention("attention", torch.ones(2, 2, 3, 3).tril() / 3, 1, tokens=["a", "b", "c"])
    run.log_model_graph(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU()), (torch.zeros(1, 3),))
    attention, graph = records(run, Kind.MEDIA)
    assert (attention.payload["type"], graph.payload["type"]) == ("attention", "graph")
    assert graph.payload["caption"] == "16 parameters, 16 trainable"
    kept = json.loads((folder / graph.payload["file"]).read_text())
    assert {node["class"] for node in kept["nodes"]} >= {"Linear", "ReLU"}


@pytest.mark.parametrize(
    "call",
    [
        lambda run: run.log_histogram("x", "text"),
        lambda run: run.log_table("x", 5),
        lambda run: run.log_image("x", object()),
        lambda run: run.log_figure("x", 5),
        lambda run: run.log_model_graph(5),
        lambda run: run.log_text(5, "text"),
        lambda run: run.log_learning_rates(5),
    ],
)
def test_wrong_type_raises_at_the_call(run, call):
    with pytest.raises(TypeError):
        call(run)
    assert run.dropped == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda run: run.log_image("x", b"neither PNG nor JPEG"),
        lambda run: run.log_image("x", "no/such/file.png"),
        lambda run: run.log_table("x", {"a": [1], "b": [1, 2]}),
        lambda run: run.log_histogram("x", ([1, 2], [0, 1])),
        lambda run: run.log_artifact("no/such/file", name="x"),
    ],
    ids=["bytes", "path", "columns", "edges", "artifact"],
)
def test_what_goes_wrong_below_is_a_warning_and_a_counter(run, call, caplog, rows):
    call(run)
    assert run.dropped == 1
    (message,) = caplog.messages
    assert re.fullmatch(r"run 20260101_toy_k7f2: \w+ 'x' is not recorded: .+; training goes on", message)
    run.log({"loss": 0.5})
    assert rows(run) == [(0, {"loss": 0.5})]


def test_each_name_that_is_lost_is_told_once_with_its_reason_and_kept(run, caplog, rows, records):
    for step in range(3):
        run.log_artifact("no/model", name="model")
        run.log_table("samples", [["a", 1]], step)
    assert run.dropped == 6
    assert caplog.messages == [
        "run 20260101_toy_k7f2: artifact 'model' is not recorded: there is no no/model; training goes on",
        "run 20260101_toy_k7f2: table 'samples' is not recorded: a table of lists needs the names of its columns: "
        "columns=[...]; training goes on",
    ]
    lost = [record.payload for record in records(run, Kind.LIFECYCLE) if record.key == "lost"]
    assert [(one["kind"], one["key"]) for one in lost] == [("artifact", "model"), ("table", "samples")]


@pytest.mark.parametrize(
    "call",
    [
        lambda run: run.finish("ok"),
        lambda run: run.alert("x", level="critical"),
        lambda run: run.step_metric("eval/*", best="lower"),
    ],
)
def test_word_that_is_none_of_those_there_are_raises_at_the_call(run, call):
    with pytest.raises(ValueError, match=r"not '(ok|critical|lower)'$"):
        call(run)
    assert not run.has_ended


@pytest.mark.parametrize(
    "call",
    [
        lambda run: run.tag("a", 3),
        lambda run: run.note(3),
        lambda run: run.log_text("x", 3),
        lambda run: run.alert(3),
        lambda run: run.step_metric(3),
    ],
)
def test_words_must_be_strings(run, call):
    with pytest.raises(TypeError, match=r" must be a string, not int$"):
        call(run)


def test_what_is_logged_after_the_end_is_counted_told_once_and_not_recorded(run, caplog, rows, records):
    run.log({"x": 1.0}, 0)
    run.finish()
    for step in range(3):
        run.log({"x": 2.0}, step)
    run.log_text("late", "text")
    run.log({"x": 3.0}, lazy=True)
    assert run.dropped == 5
    assert caplog.messages == [
        "run 20260101_toy_k7f2: cannot record something: the run has ended; begin another: burnish.start_run(); "
        "training goes on"
    ]
    assert rows(run) == [(0, {"x": 1.0})]
    assert records(run, Kind.TEXT) == []


def test_media_folder_that_cannot_be_made_never_raises(run, folder, caplog):
    (folder / "media").touch()
    run.log_image("x", np.zeros((4, 4), np.uint8))
    assert run.dropped == 1
    assert caplog.messages[0].startswith("run 20260101_toy_k7f2: media 'x' is not recorded: [Errno 17] File exists")


def test_tier_that_leaves_a_picture_out_does_not_even_draw_it(folder, records):
    run = Run(folder, tiers=Tiers([Tier(("samples/*",), every=10)]))

    class Counting:
        drawn = 0

        def __array__(self, dtype=None, copy=None):
            Counting.drawn += 1
            return np.zeros((2, 2), np.uint8)

    for step in range(25):
        run.log_image("samples/x", Counting(), step)
    assert [record.step for record in records(run, Kind.MEDIA)] == [0, 10, 20]
    assert Counting.drawn == 3


def test_notes_tags_alerts_and_axes_are_recorded(run, records):
    run.log({"loss": 0.5}, 3)
    run.note("warm-up looks short")
    run.tag("pilot", "lora")
    run.alert("reward is flat", "for 100 steps", level="error")
    run.step_metric("eval/*", "train/num_tokens", best="min")
    lifecycle = {record.key: record.payload for record in records(run, Kind.LIFECYCLE)}
    assert lifecycle["note"] == {"text": "warm-up looks short"}
    assert lifecycle["tag"] == {"tags": ["pilot", "lora"]}
    assert lifecycle["metric"] == {"pattern": "eval/*", "axis": "train/num_tokens", "best": "min"}
    (alert,) = records(run, Kind.ALERT)
    assert (alert.key, alert.step) == ("reward is flat", 3)
    assert alert.payload == {"text": "for 100 steps", "level": "error", "reason": "alert"}


def test_data_is_told_for_the_card(run, tmp_path, records):
    (tmp_path / "train.jsonl").write_text('{"a": 1}\n')
    run.log_dataset("train", tmp_path / "train.jsonl", revision="v2")
    (card,) = [record.payload for record in records(run, Kind.LIFECYCLE) if record.key == "card"]
    told = card["data"]["train"]
    assert (told["size_bytes"], told["revision"], len(told["sha256"])) == (9, "v2", 64)


def test_learning_rates_are_logged_by_group(run, rows):
    torch = pytest.importorskip("torch")
    layers = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    one = torch.optim.SGD(layers[0].parameters(), lr=0.5)
    two = torch.optim.SGD(
        [{"params": layers[0].parameters(), "lr": 0.25, "name": "body"}, {"params": layers[1].parameters()}], lr=0.125
    )
    run.log_learning_rates(one, 4)
    run.log_learning_rates(two)
    assert rows(run) == [(4, {"lr": 0.5}), (4, {"lr/body": 0.25, "lr/1": 0.125})]


def test_lazy_values_are_written_with_the_next_call_at_their_own_step(run, rows):
    torch = pytest.importorskip("torch")
    loss = torch.tensor(2.0)
    run.log({"loss": loss}, 3, lazy=True)
    loss.fill_(9.0)  # training goes on, in place
    assert rows(run) == []
    run.log({"loss": loss}, 4, lazy=True)
    run.log({"lr": 0.5}, 5)
    assert rows(run) == [(3, {"loss": 2.0}), (4, {"loss": 9.0}), (5, {"lr": 0.5})]


def test_lazy_values_are_written_at_the_end(run, rows):
    run.log({"loss": 0.5}, 3, lazy=True)
    run.finish()
    assert rows(run) == [(3, {"loss": 0.5})]


def test_lazy_value_of_a_wrong_type_raises_at_once(run):
    with pytest.raises(TypeError, match="^metric 'loss' must be one number, not str$"):
        run.log({"loss": "low"}, lazy=True)
    assert run.step == -1


def test_forked_child_leaves_what_is_deferred_or_withheld_to_its_parent(folder, rows):
    run = Run(folder, tiers=Tiers([Tier(("x",), every=10)]))
    run.log({"x": 1.0, "y": 1.0}, 0)
    run.log({"x": 2.0}, 1)
    run.log({"z": 3.0}, 2, lazy=True)
    pid = os.fork()
    if pid == 0:
        try:
            run.log({"child": 1.0}, 5)
            run.log_checkpoint(folder / "c", 5, {})
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    run.finish()
    assert sorted(rows(run), key=str) == [
        (0, {"x": 1.0, "y": 1.0}),
        (1, {"x": 2.0}),
        (2, {"z": 3.0}),
        (5, {"child": 1.0}),
    ]


def test_tiers_hold_back_write_at_a_checkpoint_and_say_what_they_dropped(folder, rows, records):
    run = Run(folder, tiers=Tiers([Tier(("grad/*",), every=10)]))
    for step in range(15):
        run.log({"loss": 0.5, "grad/a": float(step)}, step)
    run.log_checkpoint(folder / "checkpoints" / "checkpoint-14", 14, {})
    run.log({"grad/a": math.nan}, 15)
    run.finish()
    grads = [(step, values["grad/a"]) for step, values in rows(run) if "grad/a" in values]
    assert grads[:3] == [(0, 0.0), (10, 10.0), (14, 14.0)]
    assert grads[3][0] == 15  # not finite: never dropped
    assert math.isnan(grads[3][1])
    thinned = [record.payload for record in records(run, Kind.LIFECYCLE) if record.key == "thinned"]
    assert thinned == [{"dropped": {"grad/*": 13}}] * 2


def test_phases_are_seconds_of_the_next_row(run, rows):
    with run.phase("data"), run.phase("tokenize"):
        pass
    run.log({"loss": 0.5}, 1)
    run.log({"loss": 0.5}, 2)
    (_, first), (_, second) = rows(run)
    assert set(first) == {"loss", "phase/data", "phase/data/tokenize"}
    assert 0 < first["phase/data/tokenize"] <= first["phase/data"] < 1
    assert set(second) == {"loss"}


def test_what_python_logs_is_recorded_with_its_step(run, records):
    run.log({"loss": 0.5}, 3)
    handler = run.capture_logging("trainer", logging.WARNING)
    try:
        logging.getLogger("trainer.data").warning("slow loader: %s s", 3)
        logging.getLogger("trainer").info("not this one")
    finally:
        logging.getLogger("trainer").removeHandler(handler)
    (record,) = records(run, Kind.LOG)
    assert (record.key, record.step, record.payload["level"]) == ("trainer.data", 3, "WARNING")
    assert record.payload["message"] == "slow loader: 3 s"


def test_watched_model_logs_the_norms_of_steps_that_are_due(run, rows):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
    run.watch(model, every=2)
    expected = {}
    for step in range(5):
        model.zero_grad()
        model(torch.randn(8, 3)).sum().backward()
        expected[step] = model[0].weight.grad.norm().item(), model[0].bias.grad.norm().item()
        run.log({"loss": 0.5}, step)
    run.finish()
    found = {step: values["grad_norm/0"] for step, values in rows(run) if "grad_norm/0" in values}
    assert set(found) == {0, 2, 4}
    for step, norm in found.items():
        assert norm == pytest.approx(math.hypot(*expected[step]), rel=1e-5)


def test_summary_reads_what_was_logged_so_far(run):
    for step, loss in enumerate([3.0, 1.0, 2.0]):
        run.log({"eval/loss": loss}, step)
    run.log({"eval/loss": 5.0}, 3, lazy=True)
    found = run.summary()["eval/loss"]
    assert (found["last"], found["min"], found["best"], found["best_step"], found["count"]) == (5.0, 1.0, 1.0, 1, 4)


def test_imported_packages_are_told_again_only_when_there_are_others(run, folder, records):
    run.report_imports()
    run.report_imports()
    cards = [record.payload for record in records(run, Kind.LIFECYCLE) if record.key == "card"]
    assert len(cards) == 1
    assert {"burnish", "numpy", "msgspec"} <= set(cards[0]["imported"])


def test_artifact_is_kept_and_another_run_uses_it(tmp_path, records):
    runs = [Run(tmp_path / name) for name in ("20260101_a_aaaa", "20260101_b_bbbb")]
    for run in runs:
        run.paths.journals.mkdir(parents=True)
    (tmp_path / "answers.jsonl").write_text("one\n")
    made = runs[0].log_artifact(tmp_path / "answers.jsonl", kind="predictions", metadata={"split": "test"})
    (tmp_path / "answers.jsonl").write_text("two\n")
    (runs[0].paths.state).write_text(json.dumps({"format": 1, "state": "running"}))
    path = runs[1].use_artifact("aaaa/answers.jsonl")
    assert path.read_text() == "one\n"
    (used,) = records(runs[1], Kind.ARTIFACT)
    (first,) = records(runs[0], Kind.ARTIFACT)
    assert (first.payload["role"], first.payload["kind"], first.payload["metadata"]) == (
        "made", "predictions", {"split": "test"},
    )  # fmt: skip
    assert (used.payload["role"], used.payload["run"]) == ("used", "20260101_a_aaaa")
    assert used.payload["sha256"] == first.payload["sha256"] == made.sha256
    shutil.rmtree(runs[0].paths.root)


def test_credential_in_words_is_masked_by_value_by_name_and_by_shape(folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "planted-token")
    run = Run(folder)
    run.log_text("arguments", "hub_token=planted-token")
    run.note("with planted-token")
    run.alert("planted-token", "https://me:s3cret-login@host/x")
    run.report({"api_key": "another-one", "url": "Bearer abcdefgh12345"})
    run.log_dataset("train", "https://me:s3cret-login@host/data")
    run.finish("failed", exit_code=1, error="401 for planted-token")
    raw = b"".join(path.read_bytes() for path in journal_files(run.paths.journals))
    for secret in (b"planted-token", b"another-one", b"s3cret-login", b"abcdefgh12345"):
        assert secret not in raw


@pytest.mark.parametrize("step", [np.int64(7), 7])
def test_steps_of_numpy_are_steps_everywhere(run, folder, records, step):
    run.resume(step)
    run.expect(np.int64(100))
    run.log_checkpoint(str(folder / "checkpoints" / "c"), step, {"loss": np.float32(0.5)})
    run.note("after it")
    run.log_text("x", "text", step)
    assert [(r.step, r.payload) for r in records(run, Kind.CHECKPOINT)] == [(7, {"metrics": {"loss": 0.5}})]
    lifecycle = {record.key: record for record in records(run, Kind.LIFECYCLE)}
    assert (lifecycle["resume"].step, lifecycle["note"].step) == (7, 7)
    assert lifecycle["total"].payload == {"steps": 100}
    assert records(run, Kind.TEXT)[0].step == 7
    assert run.dropped == 0


def test_learning_rates_of_groups_of_one_name_are_told_apart(run, rows):
    class Optimizer:
        param_groups = [{"name": "body", "lr": 0.5}, {"name": "body", "lr": 0.25}, {"name": "head", "lr": 0.125}]

    run.log_learning_rates(Optimizer(), 1)
    assert rows(run) == [(1, {"lr/body.0": 0.5, "lr/body.1": 0.25, "lr/head": 0.125})]


def test_type_error_from_deep_within_a_library_is_no_mistake_of_the_call(run, caplog):
    class Odd:
        def __array__(self, dtype=None, copy=None):
            return json.loads(5)

    run.log_image("x", Odd())
    assert run.dropped == 1
    assert "media 'x' is not recorded" in caplog.messages[0]


def test_handler_of_a_signal_may_log_whatever_it_interrupts(run, rows):
    calls = []

    def tick(number, frame):
        calls.append(1)
        run.log({"tick": 1.0}, 0)

    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for step in range(3000):
            with run.phase("work"):
                run.log({"x": 1.0}, step)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert calls
    found = rows(run)
    assert [step for step, values in found if "x" in values] == list(range(3000))
    assert sum("tick" in values for _, values in found) == len(calls)


def test_worker_of_multiprocessing_writes_what_it_held_back(folder, rows):
    run = Run(folder, tiers=Tiers([Tier(("x",), every=100)]))
    run.log({"x": 0.0}, 0)

    def work():
        for step in range(1, 4):
            run.log({"x": float(step)}, step)
            run.log({"y": float(step)}, step, lazy=True)

    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    worker.join()
    run.finish()
    found = rows(run)
    assert [(step, values["y"]) for step, values in found if "y" in values] == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert (3, {"x": 3.0}) in found

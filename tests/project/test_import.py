"""Importing runs: the logs of trainers, what makes a run the same run, and what must not happen on the way."""

import json
import math
import os
import shutil
import signal
import subprocess
from pathlib import Path
from random import Random

import pytest

import burnish as burnish_api
from burnish.core.errors import RunError, UsageError
from burnish.core.paths import RunPaths, find_project
from burnish.journal.record import read_record
from burnish.journal.series import load_scalars
from burnish.project.importers import Failed, Options, find_runs, import_runs
from burnish.project.importers.sources import locate

ENTRIES = [
    {"step": 10, "epoch": 0.1, "loss": 2.5, "learning_rate": 1e-4, "grad_norm": 1.5},
    {"step": 20, "epoch": 0.2, "loss": 2.25, "learning_rate": 9e-5, "grad_norm": 1.25},
    {"step": 20, "epoch": 0.2, "eval_loss": 2.0, "eval_runtime": 3.5},
]
END = {"step": 20, "epoch": 0.2, "train_runtime": 100.0, "train_loss": 2.375}


def state(entries, **fields):
    known = {"global_step": 20, "max_steps": 20, "num_train_epochs": 1, "train_batch_size": 8}
    return {**known, "log_history": entries, **fields}


@pytest.fixture
def folder(alone):
    return alone


@pytest.fixture
def take(folder):
    """Return a function that imports a path; returns what became of its runs."""

    def call(*paths, source=None, options=None, **words):
        found = find_runs([str(path) for path in paths], source, options)
        if found.errors:
            raise found.errors[0]
        return import_runs(found.runs, find_project(), **words)

    return call


@pytest.fixture
def trainer(folder):
    """Return a function that writes a Trainer's state."""

    def write(entries, where="sft/trainer_state.json", **fields):
        path = folder / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(state(entries, **fields)))
        os.utime(path, (1.8e9, 1.8e9))
        return path

    return write


def run_of(outcome):
    return RunPaths(find_project().runs / outcome.name)


def points(outcome, name):
    return dict(zip(*load_scalars(run_of(outcome).journals).of(name), strict=True))


def folders():
    return sorted(path.name for path in find_project().runs.iterdir() if path.is_dir())


def test_trainer_state_becomes_a_run_with_metrics_named_as_our_callback_names_them(take, trainer):
    (done,) = take(trainer([*ENTRIES, END]))
    assert (done.outcome, done.experiment, done.state, done.points) == ("imported", "sft", "finished", 14)
    assert points(done, "train/loss") == {10: 2.5, 20: 2.25}
    assert points(done, "eval/loss") == {20: 2.0}
    assert points(done, "trainer/runtime") == {20: 100.0}
    record = read_record(run_of(done))
    assert (record["state"], record["step"], record["total_steps"]) == ("finished", 20, 20)
    assert record["summary"]["train/loss"]["best"] == 2.25
    assert record["latest"]["train/loss"] == 2.25


def test_imported_run_says_where_it_came_from(take, trainer, folder):
    (done,) = take(trainer([*ENTRIES, END]))
    told = read_record(run_of(done))["imported"]
    assert (told["from"], told["path"]) == ("hf", str(folder / "sft" / "trainer_state.json"))
    assert told["times"] == "estimated"
    assert told["version"] == burnish_api.__version__
    assert told["time"] > 1.7e9
    assert len(told["content"]) == 64


def test_run_time_is_spread_over_the_steps_up_to_the_time_of_the_file(take, trainer):
    (done,) = take(trainer([*ENTRIES, END]))
    record = read_record(run_of(done))
    assert (record["started"], record["ended"], record["created"]) == (1.8e9 - 100, 1.8e9, 1.8e9 - 100)
    series = load_scalars(run_of(done).journals).series("train/loss")
    assert series.time.tolist() == [1.8e9 - 50, 1.8e9]
    assert done.name.startswith("20270115_sft_")


def test_config_is_what_the_state_and_the_files_beside_it_say_and_nothing_is_unpickled(take, trainer, folder):
    path = trainer(ENTRIES)
    (folder / "sft" / "config.json").write_text(json.dumps({"hidden_size": 64, "architectures": ["Llama"]}))
    (folder / "sft" / "adapter_config.json").write_text(json.dumps({"r": 16}))
    (folder / "sft" / "training_args.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    (done,) = take(path)
    config = burnish_api.runs(f"id == '{done.id}'")[0]
    assert config["config.trainer.train_batch_size"] == 8
    assert config["config.model.hidden_size"] == 64
    assert config["config.adapter.r"] == 16
    assert not (folder / "pwned").exists()


def test_results_beside_the_state_are_points_of_the_last_step_where_the_log_lacks_them(take, trainer, folder):
    path = trainer([*ENTRIES, END])
    (folder / "sft" / "all_results.json").write_text(json.dumps({"eval_loss": 9.0, "predict_rouge": 0.5}))
    (done,) = take(path)
    assert points(done, "eval/loss") == {20: 2.0}
    assert points(done, "predict/rouge") == {20: 0.5}


def test_bare_nan_and_infinity_are_kept_and_a_missing_loss_is_no_error(take, folder):
    path = folder / "trainer_state.json"
    path.write_text('{"log_history": [{"step": 1, "loss": NaN}, {"step": 2, "loss": -Infinity}, {"step": 3, "lr": 1}]}')
    (done,) = take(path)
    found = points(done, "train/loss")
    assert math.isnan(found[1])
    assert found[2] == -math.inf
    assert points(done, "train/learning_rate") == {3: 1.0}
    assert read_record(run_of(done))["summary"]["train/loss"]["nonfinite"] == 2


def test_training_that_was_cut_off_is_lost_not_finished(take, trainer):
    (done,) = take(trainer(ENTRIES, global_step=20, max_steps=1000))
    record = read_record(run_of(done))
    assert (record["state"], record["reason"]) == ("lost", "the file ends at step 20 of 1,000")


def test_folder_with_checkpoints_is_one_run_of_the_state_that_came_farthest(take, trainer, folder):
    trainer(ENTRIES[:1], "out/checkpoint-10/trainer_state.json", global_step=10)
    trainer(ENTRIES, "out/checkpoint-20/trainer_state.json")
    (done,) = take(folder / "out")
    assert points(done, "train/loss") == {10: 2.5, 20: 2.25}
    trainer([*ENTRIES, END], "out/trainer_state.json")
    (again,) = take(folder / "out")
    assert (again.outcome, again.id) == ("updated", done.id)
    assert points(again, "trainer/runtime") == {20: 100.0}


def test_importing_twice_makes_no_second_run(take, trainer):
    path = trainer([*ENTRIES, END])
    (first,) = take(path)
    stamp = run_of(first).state.stat()
    (second,) = take(path)
    assert (second.outcome, second.id) == ("unchanged", first.id)
    assert run_of(first).state.stat() == stamp
    assert folders() == [first.name]


def test_state_that_has_grown_replaces_the_run_and_keeps_what_was_said_of_it(take, trainer, burnish):
    path = trainer(ENTRIES[:2], global_step=20, max_steps=40)
    (first,) = take(path)
    burnish.root = Path.cwd()
    assert burnish("tag", first.id, "+good").returncode == 0
    trainer([*ENTRIES[:2], {"step": 30, "loss": 2.0}], global_step=30, max_steps=40)
    (second,) = take(path)
    assert (second.outcome, second.id, second.name) == ("updated", first.id, first.name)
    assert points(second, "train/loss") == {10: 2.5, 20: 2.25, 30: 2.0}
    assert read_record(run_of(second))["tags"] == ["good"]
    assert folders() == [first.name]


def test_older_state_changes_nothing(take, trainer):
    path = trainer(ENTRIES)
    (first,) = take(path)
    trainer(ENTRIES[:1], global_step=10)
    (second,) = take(path)
    assert (second.outcome, second.id) == ("unchanged", first.id)
    assert f"this is an older state of run {first.id}, which has more" in second.warnings
    assert points(first, "train/loss") == {10: 2.5, 20: 2.25}


def test_file_that_was_moved_is_the_same_run(take, trainer, folder):
    (first,) = take(trainer(ENTRIES))
    (folder / "sft").rename(folder / "elsewhere")
    (second,) = take(folder / "elsewhere")
    assert (second.outcome, second.id) == ("unchanged", first.id)


def test_other_run_that_begins_alike_is_another_run(take, trainer):
    short = trainer(ENTRIES[:1], "a/trainer_state.json", global_step=10)
    longer = trainer([*ENTRIES[:1], {"step": 20, "loss": 1.0}], "b/trainer_state.json")
    (first,), (second,) = take(short), take(longer)
    assert second.outcome == "imported"
    assert first.id != second.id


def test_other_training_in_the_same_folder_is_another_run(take, trainer):
    path = trainer(ENTRIES)
    (first,) = take(path)
    trainer([{"step": 10, "loss": 7.0}])
    (second,) = take(path)
    assert second.outcome == "imported"
    assert folders() == sorted([first.name, second.name])


def test_training_that_went_on_from_an_earlier_checkpoint_is_the_same_run(take, trainer):
    def entries(losses):
        return [{"step": step, "loss": loss} for step, loss in enumerate(losses)]

    path = trainer(entries([*range(20), 99.0]))
    (first,) = take(path)
    trainer(entries([*range(20), 20.0, 21.0]))
    (second,) = take(path)
    assert (second.outcome, second.id) == ("updated", first.id)
    assert points(second, "train/loss")[20] == 20.0


def test_run_that_was_removed_is_imported_anew(take, trainer):
    path = trainer(ENTRIES)
    (first,) = take(path)
    shutil.rmtree(run_of(first).root)
    (second,) = take(path)
    assert second.outcome == "imported"


def test_trainer_log_of_llama_factory_has_times_by_what_elapsed(take, folder):
    path = folder / "saves" / "trainer_log.jsonl"
    path.parent.mkdir()
    lines = [
        '{"current_steps": 5, "total_steps": 10, "loss": 1.5, "lr": 1e-4, "elapsed_time": "0:00:30"}',
        '{"current_steps": 10, "total_steps": 10, "loss": NaN, "lr": 0.0, "elapsed_time": "1 day, 0:01:00"}',
        '{"current_steps": 10, "total_steps": 10, "eval_loss": Infinity, "elapsed_time": "1 day, 0:01:00"}',
        '{"current_steps": 10, "total_steps": 10, "epoch": 1.0, "remaining_time": "0:00:00"',
    ]
    path.write_text("\n".join(lines))
    (folder / "saves" / "sft.yaml").write_text("stage: sft\nlearning_rate: 1e-4\n")
    os.utime(path, (1.8e9, 1.8e9))
    (done,) = take(folder / "saves")
    assert (done.found.source, done.state) == ("llama-factory", "finished")
    series = load_scalars(run_of(done).journals).series("train/loss")
    assert series.step.tolist() == [5, 10]
    assert series.time.tolist() == [1.8e9 - 86_430, 1.8e9]
    assert math.isinf(points(done, "eval/loss")[10])
    assert set(points(done, "train/learning_rate")) == {5, 10}
    assert "left out: 1 × line that is no JSON object" in done.warnings
    assert burnish_api.runs(f"id == '{done.id}'")[0]["config.recipe.learning_rate"] == 1e-4


def test_trainer_log_that_ends_early_is_lost(take, folder):
    path = folder / "trainer_log.jsonl"
    path.write_text('{"current_steps": 5, "total_steps": 10, "loss": 1.5}\n')
    (done,) = take(path)
    assert (done.state, read_record(run_of(done))["reason"]) == ("lost", "the file ends at step 5 of 10")


def test_state_is_taken_before_the_log_and_the_event_files_that_were_written_besides(take, trainer, folder):
    trainer(ENTRIES)
    (folder / "sft" / "trainer_log.jsonl").write_text('{"current_steps": 5, "total_steps": 10, "loss": 1.5}\n')
    (folder / "sft" / "runs").mkdir()
    (folder / "sft" / "runs" / "events.out.tfevents.1.host").write_bytes(b"")
    found = find_runs([str(folder / "sft")])
    assert [run.source for run in found.runs] == ["hf"]
    told = "read as hf; it holds records of llama-factory and of tensorboard too (--from)"
    assert found.notes == [f"{folder / 'sft'}: {told}"]


def test_credentials_are_masked_wherever_they_stand(take, trainer, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hunter2-very-secret")
    path = trainer([{"step": 1, "loss": 1.0, "hunter2-very-secret": 2.0, "note": "hunter2-very-secret"}])
    (folder / "sft" / "config.json").write_text(
        json.dumps({"api_key": "abcdef", "url": "ftp://me:pass-word@host/x", "t": "hunter2-very-secret"})
    )
    (done,) = take(path, experiment="x-hunter2-very-secret")
    kept = b"".join(p.read_bytes() for p in sorted(run_of(done).root.rglob("*")) if p.is_file())
    assert b"hunter2" not in kept
    assert b"hunter2" not in run_of(done).root.name.encode()
    assert b"abcdef" not in kept
    assert b"pass-word" not in kept


HOSTILE = {
    "deep": '{"log_history": ' + "[" * 100_000,
    "cut": '{"log_history": [{"step": 1, "loss": 2.5}, {"step": 2, "lo": 1}',
    "no object": '{"log_history": [1, null, "x", {"step": 1, "loss": 1}]}',
    "steps": '{"log_history": [{"step": NaN, "loss": 1}, {"step": -5, "loss": 2}, {"step": 1.5, "loss": 3}, '
    '{"step": 1e30, "loss": 4}, {"step": true, "loss": 5}, {"step": 7, "loss": 6}, {"step": 7, "loss": 7}]}',
}


def test_steps_that_cannot_be_are_counted_and_negative_and_repeated_ones_kept(take, folder):
    path = folder / "trainer_state.json"
    path.write_text(HOSTILE["steps"])
    (done,) = take(path)
    series = load_scalars(run_of(done).journals).series("train/loss")
    assert list(zip(series.step.tolist(), series.value.tolist(), strict=True)) == [(-5, 2.0), (7, 6.0), (7, 7.0)]
    assert "left out: 4 × row without a step" in done.warnings


def test_entries_that_are_no_objects_are_counted(take, folder):
    path = folder / "trainer_state.json"
    path.write_text(HOSTILE["no object"])
    (done,) = take(path)
    assert points(done, "train/loss") == {1: 1.0}
    assert "left out: 3 × entry that is no object" in done.warnings


@pytest.mark.parametrize(("content", "why"), [("deep", "nested too deep"), ("cut", "Expecting ',' delimiter: line 1")])
def test_state_that_is_no_json_is_told_why(take, folder, content, why):
    path = folder / "trainer_state.json"
    path.write_text(HOSTILE[content])
    (done,) = take(path)
    assert isinstance(done, Failed)
    assert done.error.message.startswith(f"this is no JSON: {why}")
    assert done.error.origin == str(path)
    assert folders() == []


def test_ten_thousand_metrics_and_names_of_any_kind_are_kept(take, folder):
    odd = {"ünïcode/🚀": 1.0, "two\nlines": 2.0, "\x1b[31mred": 3.0, "a" * 5_000: 4.0, "\ud800": 5.0}
    path = folder / "trainer_state.json"
    many = {f"m{number}": float(number) for number in range(10_000)}
    path.write_text(json.dumps({"log_history": [{"step": 1, **many, **odd}]}))
    (done,) = take(path)
    assert done.metrics == 10_005
    assert points(done, "train/m9999") == {1: 9999.0}
    assert points(done, "train/ünïcode/🚀") == {1: 1.0}
    assert points(done, "train/two\nlines") == {1: 2.0}
    assert points(done, "train/\\ud800") == {1: 5.0}
    assert "left out: 1 × end of a long name" in done.warnings


def test_run_without_points_is_a_run(take, trainer):
    (done,) = take(trainer([]))
    assert (done.outcome, done.points) == ("imported", 0)
    (again,) = take(trainer([]))
    assert again.outcome == "unchanged"
    (other,) = take(trainer([], "elsewhere/trainer_state.json"))
    assert other.outcome == "imported"
    (grown,) = take(trainer(ENTRIES))
    assert (grown.outcome, grown.id) == ("updated", done.id)


def refusal(path, source=None):
    with pytest.raises((RunError, UsageError)) as caught:
        locate(str(path), source)
    return caught.value.message, caught.value.hint


def test_wrong_source_is_told_with_what_it_looks_like(trainer, folder):
    path = trainer(ENTRIES)
    assert refusal(path, "wandb") == ("this is no record of wandb: it looks like hf", "--from hf, or leave --from out")
    assert refusal(path.parent, "mlflow") == (
        "no mlruns or database of MLflow's: it looks like hf",
        "--from hf, or leave --from out",
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.json", b"", "this file is empty"),
        ("noise.bin", b"\x00\x01\x02", "nothing that can be imported: binary, of no kind that is known"),
        ("model.bin", b"PK\x03\x04\x00", "nothing that can be imported: an archive, or a file of torch"),
        ("notes.txt", b"some words", "nothing that can be imported: text of no kind that is known"),
        ("other.db", b"SQLite format 3\0", "nothing that can be imported: a database without MLflow's tables"),
    ],
)
def test_what_cannot_be_imported_is_told_for_what_it_is(folder, name, content, message):
    (folder / name).write_bytes(content)
    assert refusal(folder / name)[0] == message


def test_path_that_is_not_there_is_told(folder):
    assert refusal("nowhere.json") == ("there is no such file or folder", "burnish import PATH…")


def test_links_that_lead_round_and_thousands_of_folders_do_no_harm(take, folder):
    (folder / "many").mkdir()
    (folder / "many" / "round").symlink_to(folder / "many")
    for number in range(2_000):
        (folder / "many" / str(number)).mkdir()
    (folder / "many" / "trainer_state.json").write_text(json.dumps(state(ENTRIES)))
    (done,) = take(folder / "many")
    assert done.outcome == "imported"


def test_run_that_cannot_be_read_stops_no_other(take, trainer, folder):
    good, bad = trainer(ENTRIES, "a/trainer_state.json"), trainer(ENTRIES[:1], "b/trainer_state.json")
    found = find_runs([str(good), str(bad)])
    bad.write_text("{}")
    first, second = import_runs(found.runs, find_project())
    assert first.outcome == "imported"
    assert isinstance(second, Failed)
    assert second.error.message == "no 'log_history' in it"
    assert folders() == [first.name]


def test_command_prints_runs_as_json_and_as_a_table(burnish, trainer):
    path = trainer([*ENTRIES, END])
    burnish.root = path.parents[1]
    told = burnish.json("import", str(path), "--from", "hf")
    (run,) = told["runs"]
    assert (run["from"], run["state"], run["points"], run["run_state"]) == ("hf", "imported", 14, "finished")
    assert burnish.json("ls")["runs"][0]["id"] == run["id"]
    done = burnish("import", str(path))
    assert done.returncode == 0
    assert done.stdout.split() == (
        f"id experiment run from state metrics points import {run['id']} sft sft hf finished 8 14 unchanged".split()
    )


def test_dry_run_writes_nothing(burnish, trainer):
    path = trainer([*ENTRIES, END])
    burnish.root = path.parents[1]
    told = burnish.json("import", str(path), "--dry-run")
    assert told["dry_run"] is True
    assert [(run["id"], run["state"], run["points"]) for run in told["runs"]] == [(None, "imported", 14)]
    assert not burnish.runs.exists()


def test_errors_have_the_form_of_every_command(burnish):
    (burnish.root / "empty.json").touch()
    done = burnish("import", "empty.json")
    assert (done.returncode, done.stderr) == (1, "error: this file is empty (empty.json)\n")
    told = burnish.json("import", "empty.json")["error"]
    assert told == {"code": "run", "message": "this file is empty", "hint": "", "origin": "empty.json"}


def test_one_bad_path_of_several_is_told_and_the_others_are_imported(burnish, trainer):
    path = trainer(ENTRIES)
    burnish.root = path.parents[1]
    done = burnish("import", str(path), "nowhere", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert [run["state"] for run in told["runs"]] == ["imported"]
    assert [error["message"] for error in told["errors"]] == ["there is no such file or folder"]


def test_imported_runs_are_shown_compared_exported_and_never_adopted_or_resumed(burnish, trainer):
    first, second = trainer(ENTRIES, "a/trainer_state.json"), trainer([*ENTRIES, END], "b/trainer_state.json")
    trainer([{"step": 1, "loss": 1.0}], "c/trainer_state.json", global_step=1, max_steps=9)
    burnish.root = first.parents[1]
    told = burnish.json("import", str(first), str(second), "c")["runs"]
    a, b, lost = (run["id"] for run in told)
    assert "train/loss" in burnish("show", a).stdout
    assert "trainer/runtime" in burnish("diff", a, b).stdout
    exported = burnish("export", b, "--metrics", "train/loss").stdout.splitlines()
    assert [line.split(",")[4] for line in exported] == ["value", "2.5", "2.25"]
    assert f"_{a}" in burnish("show", a, "--card").stdout
    resumed = burnish("run", "--resume", lost)
    assert resumed.returncode == 1
    assert "was imported: Burnish knows no command that goes on with it" in resumed.stderr
    assert any(line.startswith("  imported     from ") for line in burnish("show", lost).stdout.splitlines())
    assert [run["state"] for run in burnish.json("ls")["runs"]].count("lost") == 1


def test_two_imports_at_once_make_one_run(burnish, trainer):
    path = trainer([*ENTRIES, END])
    burnish.root = path.parents[1]
    several = [burnish.start("import", str(path), "--json") for _ in range(4)]
    runs = [json.loads(process.communicate(timeout=60)[0])["runs"][0] for process in several]
    assert len({run["id"] for run in runs}) == 1
    assert sorted(run["state"] for run in runs) == ["imported", "unchanged", "unchanged", "unchanged"]
    assert len(burnish.records()) == 1


def test_killed_import_leaves_no_run_and_the_next_one_clears_away_what_it_left(burnish, eventually):
    burnish.write("big.jsonl", "".join(f'{{"step": {step}, "loss": 1.5}}\n' for step in range(200_000)))
    killed = burnish.start("import", "big.jsonl")
    eventually(lambda: any(burnish.runs.glob(".import-*/run/journal/*")), "the journal of the import")
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=30)
    assert burnish.json("ls")["runs"] == []
    burnish.write("small.jsonl", '{"step": 1, "loss": 1.5}\n')
    assert burnish("import", "small.jsonl").returncode == 0
    assert not list(burnish.runs.glob(".import-*"))
    assert len(burnish.json("ls")["runs"]) == 1


@pytest.mark.chaos
def test_import_that_is_killed_at_any_moment_ends_as_one_whole_run(burnish):
    random, rows, ids = Random(0), 0, set()
    path = burnish.write("log.jsonl", "")
    for _ in range(40):
        with path.open("a") as file:
            file.writelines(f'{{"step": {step}, "loss": {1 / (step + 1)}}}\n' for step in range(rows, rows + 2_000))
        rows += 2_000
        killed = burnish.start("import", "log.jsonl")
        try:
            killed.communicate(timeout=random.uniform(0.3, 1.2))
        except subprocess.TimeoutExpired:
            killed.kill()
            killed.communicate()
        shown = burnish.json("ls")["runs"]
        assert len(shown) <= 1
        (run,) = burnish.json("import", "log.jsonl")["runs"] if random.random() < 0.3 else [None]
        ids |= {run["id"]} if run else set()
    (run,) = burnish.json("import", "log.jsonl")["runs"]
    assert ids | {run["id"]} == {run["id"]}
    assert run["points"] == rows
    (record,) = burnish.records()
    assert (record["state"], record["summary"]["loss"]["count"]) == ("finished", rows)
    assert [item.name for item in burnish.runs.iterdir() if item.name.startswith(".")] == [".import.lock"]


def test_run_that_a_killed_import_had_taken_away_to_replace_it_comes_back(take, trainer):
    path = trainer(ENTRIES)
    (first,) = take(path)
    aside = find_project().runs / ".import-dead" / "replaced"
    aside.mkdir(parents=True)
    run_of(first).root.rename(aside / first.name)
    (second,) = take(path)
    assert (second.outcome, second.id) == ("unchanged", first.id)
    assert folders() == [first.name]


def test_run_that_trackers_have_says_that_they_must_get_it_again(take, trainer):
    path = trainer(ENTRIES)
    (first,) = take(path)
    (run_of(first).cursors / "mlflow.json").write_text("{}")
    trainer([*ENTRIES, END])
    (second,) = take(path)
    assert f"trackers have it as it was: burnish sync {first.id} --to mlflow --from-start" in second.warnings


def test_folder_that_cannot_be_written_is_told(burnish, trainer):
    path = trainer(ENTRIES)
    burnish.root = path.parents[1]
    burnish.write("file", "")
    burnish.environ["BURNISH_RUNS"] = str(burnish.root / "file" / "runs")
    done = burnish("import", str(path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "hint: choose another folder: BURNISH_RUNS=/path/to/runs"


@pytest.fixture(scope="session")
def curves(testdata):
    """Return real logs, which are not part of the repository."""
    return testdata("curves", "*.json")


@pytest.mark.testdata
def test_real_logs_keep_every_number(take, curves):
    for path in curves:
        history = json.loads(path.read_text())["log_history"]
        (done,) = take(path, source="hf", options=Options())
        numbers = sum(
            isinstance(value, int | float) and not isinstance(value, bool)
            for entry in history
            for key, value in entry.items()
            if key not in ("step", "global_step", "current_steps")
        )
        assert done.points == numbers, path.name


@pytest.mark.train
def test_state_that_a_real_trainer_wrote_is_imported(take, folder):
    torch = pytest.importorskip("torch")
    from transformers import Trainer, TrainingArguments

    class Line(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, x, labels):
            return {"loss": ((self.layer(x) - labels) ** 2).mean()}

    rows = [{"x": torch.tensor([float(n)]), "labels": torch.tensor([2.0 * n])} for n in range(16)]
    args = TrainingArguments(
        output_dir=str(folder / "line"), max_steps=8, logging_steps=2, save_steps=4, report_to=[], use_cpu=True
    )
    trainer = Trainer(Line(), args, train_dataset=rows)
    trainer.train()
    trainer.save_state()
    (done,) = take(folder / "line")
    assert (done.state, done.experiment) == ("finished", "line")
    assert sorted(points(done, "train/loss")) == [2, 4, 6, 8]
    assert points(done, "trainer/runtime")[8] > 0

"""The TRL experiments on a model of a few thousand parameters: trained, killed, resumed, compared bit for bit."""

from __future__ import annotations

import json
import os
import signal

import pyarrow.parquet as pq
import pytest

BASE = """
model: {name: tiny-llama, hidden_size: 32, intermediate_size: 64, layers: 1, heads: 2}
data:
  name: reasoning-gym
  family: spell_backward
  options: {min_word_len: 3, max_word_len: 4}
  prompt: "{word}>"
  lowercase: true
  train_size: 256
  heldout_size: 32
training: {batch_size: 16, learning_rate: 3e-3, threads: 1}
evaluation: {every: 10, evaluators: [{name: exact-match, max_new_tokens: 6}, preference-accuracy]}
checkpoints: {every: 5}
retry: {backoff_s: 0}
"""
SFT = "extends: base.yaml\nexperiment: sft\ntraining: {max_steps: 24, trl: {max_length: 32}}\n"
DPO = """
extends: base.yaml
experiment: dpo
model!: {name: pretrained, path: "${run:sft@last}"}
data: {seed: 1}
training: {max_steps: 12, learning_rate: 2e-4, trl: {max_length: 32}}
"""
GRPO = """
extends: base.yaml
experiment: grpo
model!: {name: pretrained, path: "${run:dpo@last}"}
data: {seed: 2}
rewards: [exact-match, {name: character-match, weight: 0.5}]
generations: 4
max_completion_length: 6
training: {max_steps: 12, learning_rate: 2e-4}
"""


@pytest.fixture
def trl(burnish):
    for name, text in (("base", BASE), ("sft", SFT), ("dpo", DPO), ("grpo", GRPO)):
        burnish.write(f"experiments/{name}.yaml", text)
    return burnish


def run(burnish, name):
    done = burnish("run", f"experiments/{name}.yaml", timeout=170)
    assert done.returncode == 0, done.stderr
    return latest(burnish)


def latest(burnish):
    return burnish.runs / str(burnish.records()[-1]["name"])


def run_and_kill(burnish, name, eventually, after_step):
    """Run an experiment and kill its training once, after a checkpoint; return its folder."""
    known = len(burnish.records())
    running = burnish.start("run", f"experiments/{name}.yaml")
    eventually(lambda: len(burnish.records()) > known, "the run exists")
    folder = latest(burnish)
    eventually(lambda: (folder / f"checkpoints/checkpoint-{after_step}/manifest.json").exists(), "a checkpoint", 120)
    attempts = json.loads((folder / "run.json").read_text())["attempts"]
    os.kill(attempts[-1]["process"]["pid"], signal.SIGKILL)
    _, errors = running.communicate(timeout=170)
    assert running.returncode == 0, errors
    return folder


def weights_sha256(folder, step):
    manifest = json.loads((folder / f"checkpoints/checkpoint-{step}/manifest.json").read_text())
    return manifest["files"]["model.safetensors"][1]


def points(folder):
    rows = pq.read_table(folder / "metrics.parquet").to_pylist()
    return [(row["key"], row["step"], row["value"]) for row in rows if row["rank"] == 0]


def test_an_sft_run_that_is_killed_resumes_to_the_same_weights_and_the_same_record(trl, eventually):
    undisturbed = run(trl, "sft")
    killed = run_and_kill(trl, "sft", eventually, after_step=10)
    record = json.loads((killed / "run.json").read_text())
    assert [attempt["reason"] for attempt in record["attempts"]] == ["killed by SIGKILL", "finished"]
    assert weights_sha256(killed, 24) == weights_sha256(undisturbed, 24)

    ours, theirs = points(killed), points(undisturbed)
    keys = {key for key, _, _ in theirs if not key.startswith("trainer/")}  # those are the trainer's own clock
    compared = [[point for point in found if point[0] in keys] for found in (ours, theirs)]
    assert compared[0] == compared[1]
    steps = [step for key, step, _ in ours if key == "train/loss"]
    assert steps == list(range(1, 25))
    assert [step for key, step, _ in ours if key == "eval/exact_match"] == [0, 10, 20, 24]

    assert tensorboard_points(killed) == {(key, step, as_float32(value)) for key, step, value in ours}
    card = json.loads((killed / "card.json").read_text())
    assert card["reported"]["data"]["contamination"] == 0.0
    assert card["reported"]["device"] == "cpu"
    arguments = trainer_arguments(trl, str(record["id"]))
    assert arguments["report_to"] in ("none", [], ["none"])
    assert arguments["logging_nan_inf_filter"] is False
    assert arguments["bf16"] is False
    assert arguments["activation_checkpointing"] is False


def tensorboard_points(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {(tag, e.step, e.value) for tag in events.Tags()["scalars"] for e in events.Scalars(tag)}


def as_float32(value):
    import numpy as np

    return float(np.float32(value))


def trainer_arguments(burnish, run_id):
    frames = [json.loads(line) for line in burnish("logs", run_id, "--journal").stdout.splitlines()]
    texts = [frame["payload"]["text"] for frame in frames if frame.get("key") == "trainer_arguments"]
    return json.loads(texts[-1])


@pytest.mark.train
def test_the_chain_of_stages_starts_each_from_the_run_before(trl):
    sft, dpo, grpo = run(trl, "sft"), run(trl, "dpo"), run(trl, "grpo")
    for folder, parent in ((dpo, sft), (grpo, dpo)):
        lineage = json.loads((folder / "run.json").read_text())["lineage"]["model.path"]
        assert lineage["run"] == parent.name
        assert lineage["step"] in (12, 24)
        assert f"starts from: run `{parent.name}`" in (folder / "card.md").read_text()
    names = {key for key, _, _ in points(dpo)}
    assert {"train/rewards/margins", "train/rewards/accuracies", "eval/preference_margin"} <= names
    names = {key for key, _, _ in points(grpo)}
    assert {"train/reward", "train/rewards/exact-match/mean", "train/rewards/character-match/mean"} <= names


@pytest.mark.train
@pytest.mark.parametrize("stage", ["dpo", "grpo"])
def test_the_other_stages_resume_bit_for_bit_too(trl, eventually, stage):
    run(trl, "sft")
    if stage == "grpo":
        run(trl, "dpo")
    undisturbed = run(trl, stage)
    killed = run_and_kill(trl, stage, eventually, after_step=5)
    assert len(json.loads((killed / "run.json").read_text())["attempts"]) == 2
    assert weights_sha256(killed, 12) == weights_sha256(undisturbed, 12)


@pytest.mark.train
def test_a_graceful_stop_saves_and_the_resumed_run_has_the_same_weights(trl, eventually):
    undisturbed = run(trl, "sft")
    running = trl.start("run", "experiments/sft.yaml")
    eventually(lambda: len(trl.records()) == 2, "the run exists")
    folder = latest(trl)
    eventually(lambda: (folder / "checkpoints/checkpoint-5/manifest.json").exists(), "a checkpoint", 120)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 75
    record = json.loads((folder / "run.json").read_text())
    assert record["state"] == "stopped"
    resumed = trl("run", "--resume", str(record["id"]), timeout=170)
    assert resumed.returncode == 0, resumed.stderr
    assert weights_sha256(folder, 24) == weights_sha256(undisturbed, 24)


@pytest.mark.train
def test_a_damaged_checkpoint_is_passed_over_aloud(trl, eventually):
    undisturbed = run(trl, "sft")
    running = trl.start("run", "experiments/sft.yaml", "--retry.max_attempts", "1")
    eventually(lambda: len(trl.records()) == 2, "the run exists")
    folder = latest(trl)
    eventually(lambda: (folder / "checkpoints/checkpoint-10/manifest.json").exists(), "a checkpoint", 120)
    os.kill(json.loads((folder / "run.json").read_text())["attempts"][-1]["process"]["pid"], signal.SIGKILL)
    running.communicate(timeout=60)
    newest = max(folder.glob("checkpoints/checkpoint-*/manifest.json"), key=lambda p: int(p.parent.name.split("-")[1]))
    weights = newest.parent / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[len(raw) // 2] ^= 1
    weights.write_bytes(raw)
    done = trl("run", "--resume", str(json.loads((folder / "run.json").read_text())["id"]), timeout=170)
    assert done.returncode == 0, done.stderr
    assert "has changed since it was written; falling back to an older one" in (folder / "console.log").read_text()
    assert weights_sha256(folder, 24) == weights_sha256(undisturbed, 24)

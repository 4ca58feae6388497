"""Three chained post-training runs of a tiny Llama, as a user would start them: SFT, DPO, GRPO.

The SFT run's training process is killed half-way with SIGKILL; its supervisor resumes it from the newest
checkpoint. What is said of the runs at the end is computed from their records.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from burnish.core.clock import duration
from burnish.core.files import read_json
from burnish.core.paths import RunPaths, find_project
from burnish.core.processes import ProcessIdentity
from burnish.journal.record import LIVE
from burnish.journal.series import Scalars, load_scalars
from examples.statistics import change, mean_of_ends, share

STAGES = ("sft", "dpo", "grpo")
TAG = "demo"
POLL_S = 0.05
HELDOUT = "eval/exact_match"


def main() -> int:
    """Run the demo; return the exit code."""
    started = time.monotonic()
    runs = find_project().make().runs
    removed = remove_earlier(runs)
    if removed:
        say(f"removed {removed} runs of an earlier demo")
    finished: list[RunPaths] = []
    for stage in STAGES:
        paths = run_stage(stage, runs, kill_half_way=stage == "sft")
        if paths is None:
            return 1
        finished.append(paths)
    report(finished, time.monotonic() - started)
    return 0


def run_stage(stage: str, runs: Path, *flags: str, kill_half_way: bool = False) -> RunPaths | None:
    """Run one experiment through the command line; return its run, None when it failed."""
    mine = f"{TAG}-{os.getpid()}-{stage}"
    command = [
        sys.executable,
        "-m",
        "burnish",
        "run",
        f"experiments/{stage}.yaml",
        "--tags",
        f"[{TAG}, {mine}]",
        *flags,
    ]
    say(f"\n$ burnish run experiments/{stage}.yaml{''.join(f' {shlex.quote(flag)}' for flag in flags)}")
    process = subprocess.Popen(command)
    killer = threading.Thread(target=kill_training, args=(runs, mine, process), daemon=True)
    if kill_half_way:
        killer.start()
    code = process.wait()
    made = tagged(runs, mine)
    if code != 0 or not made:
        say(f"error: experiments/{stage}.yaml ended with exit code {code}")
        return None
    return RunPaths(made[0])


def kill_training(runs: Path, tag: str, supervisor: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to the training process once, when half of its steps are done."""
    while supervisor.poll() is None:
        for folder in tagged(runs, tag):
            record = read_json(folder / "run.json")
            step, total = record.get("step"), record.get("total_steps")
            attempts = record.get("attempts")
            if (
                isinstance(step, int)
                and isinstance(total, int)
                and 0 < total <= 2 * step
                and isinstance(attempts, list)
            ):
                training = ProcessIdentity.from_json(attempts[-1].get("process"))
                if training is not None and training.is_alive:
                    os.kill(training.pid, signal.SIGKILL)
                    return
        time.sleep(POLL_S)


def tagged(runs: Path, tag: str) -> list[Path]:
    """Return the folders of the runs that have a tag."""
    found = []
    for folder in runs.iterdir():
        tags = read_json(folder / "run.json").get("tags")
        if isinstance(tags, list) and tag in tags:
            found.append(folder)
    return found


def remove_earlier(runs: Path) -> int:
    """Delete the runs of an earlier demo that have ended, so that this one's are the newest; return how many."""
    ended = [folder for folder in tagged(runs, TAG) if read_json(folder / "run.json").get("state") not in LIVE]
    for folder in ended:
        shutil.rmtree(folder)
    return len(ended)


def report(finished: list[RunPaths], took_s: float) -> None:
    """Print the table of runs, one sentence on each, where the files are, and what to type next."""
    records = [read_json(paths.state) for paths in finished]
    scalars = [load_scalars(paths.journals) for paths in finished]
    rows = [("run", "id", "state", "attempts", "loss", "held-out exact match", "time")]
    for stage, record, points in zip(STAGES, records, scalars, strict=True):
        rows.append((stage, str(record["id"]), str(record["state"]), *cells(record, points)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
    for stage, paths, record, points in zip(STAGES, finished, records, scalars, strict=True):
        print(sentence(stage, heldout_size(paths), record, points))
    ids = [str(record["id"]) for record in records]
    print(f"\nAll of it took {duration(took_s)}. Everything is in {shown(finished[0].root.parent)}; next, try:")
    for line in (
        "burnish ls",
        f"burnish show {ids[0]}",
        "burnish config show experiments/dpo.yaml training --origins",
        f"burnish logs {ids[2]} --journal | head",
        f"tensorboard --logdir {shown(finished[0].root.parent)}",
        "burnish run experiments/sft.yaml --seed 1 --training.learning_rate 1e-3",
    ):
        print(f"  .venv/bin/{line}")


def cells(record: dict[str, object], points: Scalars) -> tuple[str, str, str, str]:
    """Return attempts, loss, held-out score and time of a run, as text."""
    attempts = record["attempts"]
    assert isinstance(attempts, list)
    first, last = mean_of_ends(points.of("train/loss")[1], 3)
    scores = points.of(HELDOUT)[1]
    started, ended = record["started"], record["ended"]
    assert isinstance(started, float)
    assert isinstance(ended, float)
    score = f"{scores[0]:.1%} → {scores[-1]:.1%}"
    return str(len(attempts)), f"{first:.3g} → {last:.3g}", score, duration(ended - started)


def sentence(stage: str, heldout: int, record: dict[str, object], points: Scalars) -> str:
    """Return one plain sentence on a run, computed from what it recorded."""
    scores = points.of(HELDOUT)[1]
    moved = change("held-out exact match", scores[0], scores[-1], heldout)
    if stage == "sft":
        attempts = record["attempts"]
        assert isinstance(attempts, list)
        resumed = ""
        if len(attempts) > 1:
            resumed = f"; {attempts[0]['reason']} at step {attempts[0]['last_step']}, it resumed by itself"
        return f"SFT: {moved}{resumed}."
    if stage == "dpo":
        low, high = mean_of_ends(points.of("train/rewards/margins")[1], 3)
        was, now = mean_of_ends(points.of("train/rewards/accuracies")[1], 3)
        verb = "rose" if high > low else "fell"
        return (
            f"DPO: the reward margin {verb} from {low:.2f} to {high:.2f} and reward accuracy went from "
            f"{share(was)} to {share(now)} (means of 3 steps), while {moved}."
        )
    was, now = mean_of_ends(points.of("train/reward")[1], 5)
    return f"GRPO: the mean reward went from {was:.2f} to {now:.2f} (means of 5 steps), and {moved}."


def heldout_size(paths: RunPaths) -> int:
    """Return how many held-out examples a run was measured on, as its card says."""
    card = json.loads(paths.card.read_text())
    return int(card["reported"]["data"]["heldout_size"])


def shown(path: Path) -> str:
    """Return a path as one would type it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def say(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

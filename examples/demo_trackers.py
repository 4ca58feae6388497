"""The demo's first run with TensorBoard, MLflow and W&B at once; then what each one's own reader shows is compared.

The training process is killed half-way with SIGKILL and resumes. MLflow is a database in this folder, W&B is offline:
neither server nor account is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from burnish.core.files import read_json
from burnish.core.paths import RunPaths, find_project
from burnish.core.shape import section
from examples.demo import remove_earlier, run_stage, say
from examples.tracker_readers import (
    Points,
    float32,
    mlflow_points,
    parquet_points,
    superseded_steps,
    tensorboard_points,
    wandb_points,
    without_infinities,
)

SINKS = "tensorboard: {}, mlflow: {}, wandb: {tags: [model.name, training.learning_rate]}"


def main() -> int:
    """Run the demo; return the exit code."""
    project = find_project().make()
    remove_earlier(project.runs)
    run = run_stage("sft", project.runs, "--tracking.sinks", f"{{{SINKS}}}", kill_half_way=True)
    if run is None:
        return 1
    database = f"sqlite:///{project.home / 'mlflow.db'}"
    wanted, again = parquet_points(run), superseded_steps(run)
    say(f"\n{sum(wanted.values()):,} points in {run.metrics.name}; {len(again)} steps were trained twice\n")
    checks: list[tuple[str, Callable[[], Points], Points, set[int]]] = [
        ("TensorBoard", lambda: tensorboard_points(run), float32(wanted), set()),
        ("MLflow", lambda: mlflow_points(run, database), without_infinities(wanted), again),
        ("W&B", lambda: wandb_points(run), wanted, again),
    ]
    differing = [name for name, read, points, steps in checks if not _agrees(name, read(), points, steps)]
    _say_where(run, database)
    return 1 if differing else 0


def _agrees(name: str, shown: Points, wanted: Points, again: set[int]) -> bool:
    """Say whether a tracker shows each point, and nothing more than the steps that were trained twice explain."""
    missing, more = wanted - shown, shown - wanted
    odd = [point for point in more if point[1] not in again]
    twice = f", {sum(more.values()):,} more of the steps trained twice" if more else ""
    verdict = "agrees" if not missing and not odd else f"DIFFERS: {len(missing)} missing, {len(odd)} odd"
    say(f"{name:<12}{sum((shown & wanted).values()):>8,} points{twice}: {verdict}")
    return not missing and not odd


def _say_where(run: RunPaths, database: str) -> None:
    sinks = section(read_json(run.state), "sinks")
    say("\nlook at them:")
    say(f"  tensorboard --logdir {run.root.parent}")
    say(f"  mlflow ui --backend-store-uri {database}")
    say(f"  wandb leet {section(sinks, 'wandb').get('where')}")


if __name__ == "__main__":
    sys.exit(main())

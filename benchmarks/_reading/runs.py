"""Ten thousand runs: listed, filtered by config and sorted by a metric, by the index and by MLflow."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from benchmarks._reading.points import check

OPTIMIZERS = ("adamw", "lion", "sgd", "muon")
METRICS = 20
TIMES = 15
SHOWN = 50
MLFLOW_WHERE = "params.`training.optimizer` = 'lion'"
Result = dict[str, float]


def facts(number: int) -> tuple[dict[str, Any], dict[str, float]]:
    """Return config and last values of a run."""
    random = Random(number)
    training = {"learning_rate": 10 ** random.uniform(-6, -3), "optimizer": random.choice(OPTIMIZERS)}
    training |= {"batch_size": random.choice((8, 16, 32)), "epochs": 3, "warmup_ratio": 0.1, "weight_decay": 0.01}
    config = {
        "training": training,
        "model": {"name": "smollm2-135m", "dtype": "bfloat16", "lora": {"rank": random.choice((8, 16)), "alpha": 32}},
        "data": {"path": "gsm-symbolic", "split": "train", "max_length": 1024, "seed": number},
        "eval": {"every": 100, "batch_size": 8, "metrics": ["loss", "accuracy"]},
        "seed": number,
    }
    metrics = {f"train/metric_{place}": random.gauss(0, 1) for place in range(METRICS - 1)}
    return config, {"eval/loss": random.gauss(2, 0.5), **metrics}


def write_runs(folder: Path, count: int) -> None:
    """Write the records and configs of runs that have ended."""
    for number in range(count):
        config, last = facts(number)
        run = folder / f"20261101_smollm2_gsm_{number:05d}"
        run.mkdir(parents=True)
        summary = {
            name: {"count": 100, "first": 9.0, "last": value, "min": value, "max": 9.0, "last_step": 99, "nonfinite": 0}
            for name, value in last.items()
        }
        record = {
            "format": 1,
            "id": f"{number:05d}",
            "name": run.name,
            "experiment": "sft",
            "state": "finished",
            "created": 1.76e9 + number,
            "started": 1.76e9 + number,
            "ended": 1.76e9 + number + 60,
            "attempts": [{"number": 1, "started": 1.76e9 + number}],
            "tags": ["sweep"],
            "latest": last,
            "summary": summary,
        }
        (run / "run.json").write_text(json.dumps(record))
        (run / "config.yaml").write_text(json.dumps(config, indent=1))


def by_index(folder: Path, cache: Path, count: int) -> Result:
    """Return what questions take: the first of all, which builds the index, and then each with nothing changed."""
    from burnish.analyze.query import Query, find

    where = "config.training.learning_rate < 1e-4 and config.training.optimizer == 'lion'"
    best = "summary['eval/loss']"
    columns = ("id", "state", "config.training.learning_rate", best)
    every = [(number, *facts(number)) for number in range(count)]
    chosen = [
        (last["eval/loss"], f"{number:05d}")
        for number, config, last in every
        if config["training"]["learning_rate"] < 1e-4 and config["training"]["optimizer"] == "lion"
    ]
    queries = {
        "list": Query(limit=SHOWN, columns=columns),
        "filter": Query(where, limit=SHOWN, columns=columns),
        "filter_sort": Query(where, sort=best, limit=SHOWN, columns=columns),
        "optimizer": Query("config.training.optimizer == 'lion'", sort=best, limit=SHOWN, columns=columns),
        "sort_all": Query(sort=best, limit=SHOWN, columns=columns),
        "all_rows": Query(where="config.training.learning_rate < 1", sort=best, columns=columns),
    }
    lions = sum(config["training"]["optimizer"] == "lion" for _, config, _ in every)
    expected = dict.fromkeys(queries, count) | {"filter": len(chosen), "filter_sort": len(chosen), "optimizer": lions}
    found: Result = {"build_s": _took(lambda: find(folder, queries["filter_sort"], cache=cache))}
    sorted_ids = [name for _, name in sorted(chosen)]
    answer = find(folder, queries["filter_sort"], cache=cache).runs
    check(list(answer.columns["id"]) == sorted_ids[:SHOWN], "runs that were filtered and sorted")
    for title, query in queries.items():
        check(find(folder, query, cache=cache).matched == expected[title], f"number of runs of {title}")
        found[f"{title}_s"] = median(_took(lambda: find(folder, query, cache=cache)) for _ in range(TIMES))  # noqa: B023
    some = next(path for path in folder.iterdir() if path.name.endswith(sorted_ids[0]))
    (some / "run.json").write_text((some / "run.json").read_text().replace('"state": "finished"', '"state": "stopped"'))
    found["one_changed_s"] = _took(lambda: find(folder, queries["filter_sort"], cache=cache))
    check(find(folder, queries["filter_sort"], cache=cache).runs.columns["state"][0] == "stopped", "a changed run")
    found["index_bytes"] = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    return found


def write_mlflow(folder: Path, count: int) -> None:
    """Write the same runs into MLflow's SQLite database: one by its client, the others by SQL, which is quicker."""
    folder.mkdir()
    client = _client(folder)
    template = client.create_run(client.create_experiment("bench", artifact_location=folder.as_uri())).info.run_id
    client.set_terminated(template)
    _fill(folder / "mlflow.db", template, count)


def by_mlflow(folder: Path, count: int) -> Result:
    """Return what `search_runs` of MLflow takes for the newest runs, and for those of one optimizer by loss.

    MLflow compares parameters as text only, hence the simpler condition.
    """
    client = _client(folder)
    experiment = client.get_experiment_by_name("bench").experiment_id
    expected = sorted(
        last["eval/loss"] for config, last in map(facts, range(count)) if config["training"]["optimizer"] == "lion"
    )

    def newest() -> list[Any]:
        return list(client.search_runs([experiment], max_results=SHOWN))

    def best() -> list[Any]:
        order = ["metrics.`eval/loss` ASC"]
        return list(client.search_runs([experiment], MLFLOW_WHERE, order_by=order, max_results=SHOWN))

    check([run.data.metrics["eval/loss"] for run in best()] == expected[:SHOWN], "MLflow's runs")
    check(len(newest()) == min(SHOWN, count), "MLflow's newest runs")
    times = {"list_s": newest, "optimizer_s": best}
    return {title: median(_took(call) for _ in range(TIMES)) for title, call in times.items()}


def _client(folder: Path) -> Any:
    return import_module("mlflow").MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")


def _fill(path: Path, template: str, count: int) -> None:
    """Copy the run that the client made, with config and metrics of each run in the tables that it keeps them in."""
    with sqlite3.connect(path) as db:
        names = [row[1] for row in db.execute("PRAGMA table_info(runs)")]
        (first,) = db.execute("SELECT * FROM runs WHERE run_uuid = ?", (template,))
        as_row = dict(zip(names, first, strict=True))
        marks = ", ".join("?" * len(names))
        for number in range(count):
            run = f"{number:032x}"
            config, last = facts(number)
            copied = {**as_row, "run_uuid": run, "name": f"run {number}", "start_time": 1_760_000_000_000 + number}
            db.execute(f"INSERT INTO runs VALUES ({marks})", [copied[name] for name in names])
            db.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                [(key, str(value), run) for key, value in _flat(config)],
            )
            rows = [(key, value, 1_760_000_000_000, 99, False, run) for key, value in last.items()]
            for table in ("metrics", "latest_metrics"):
                db.executemany(
                    f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)",
                    rows,
                )
        db.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", (template,))
        db.execute("ANALYZE")


def _flat(config: dict[str, Any], before: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in config.items():
        found += _flat(value, f"{before}{key}.") if isinstance(value, dict) else [(before + key, value)]
    return found


def _took(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun

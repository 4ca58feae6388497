"""`burnish sync`: ship to trackers what they have not got."""

from __future__ import annotations

import click

from burnish.cli import _console
from burnish.core.errors import BurnishError, RunError
from burnish.core.paths import RunPaths, find_project
from burnish.journal.index import find_run
from burnish.launch.sync import Synced, sync_run, unshipped_runs


@click.command(short_help="Ship runs to trackers that have not got all of them.")
@click.argument("runs", nargs=-1, metavar="[RUN]…")
@click.option("--to", multiple=True, metavar="SINK", help="Ship to this tracker only, also one that the run had not.")
@click.option("--from-start", is_flag=True, help="Ship everything again, to a tracker that was emptied.")
@click.option("--json", "as_json", is_flag=True, help="Print how far each tracker is as JSON.")
def command(runs: tuple[str, ...], to: tuple[str, ...], *, from_start: bool, as_json: bool) -> int:
    """Ship runs to trackers that have not got all of them.

    \b
    burnish sync                         every run that is left behind
    burnish sync k7f2 --to mlflow        one run, to MLflow
    burnish sync k7f2 --from-start       all of it again

    Without RUN, all runs that ended before their trackers had got everything; burnish ls says which they are. What a
    tracker has already is not sent twice. A live run is shipped by whoever looks after it.
    """  # noqa: D301  \b is click's mark for lines to keep apart
    project = find_project()
    _console.adopt(project)
    chosen = [find_run(project.runs, selector) for selector in runs] if runs else unshipped_runs(project.runs)
    done: list[Synced] = []
    failed = False
    with _console.Bar("sync", len(chosen)) as bar:
        for paths in chosen:
            try:
                done.append(_synced(paths, to, bar, from_start=from_start))
            except BurnishError as error:
                if len(chosen) == 1:
                    raise
                _console.warn(str(error))  # one that cannot be shipped keeps no other from it
                failed = True
    if as_json:
        _console.out_json({"runs": [_json(each) for each in done]})
    else:
        _show(done)
    return RunError.exit_code if failed or not all(each.is_whole for each in done) else 0


def _synced(paths: RunPaths, to: tuple[str, ...], bar: _console.Bar, *, from_start: bool) -> Synced:
    so_far = 0.0

    def advance(done: float) -> None:
        nonlocal so_far
        bar.advance(max(0.0, done - so_far))
        so_far = max(so_far, done)

    synced = sync_run(paths, to=to, from_start=from_start, on_progress=advance)
    advance(1.0)
    return synced


def _show(done: list[Synced]) -> None:
    if not done:
        _console.err("every run that has ended is shipped")
        return
    rows = [row for each in done for row in _rows(each)]
    _console.table(("id", "sink", "entries", "behind", "state"), rows, right=(2, 3))


def _rows(synced: Synced) -> list[tuple[str, ...]]:
    if synced.live:
        told = "not to these sinks: sync it when it is over" if synced.missed else "whoever looks after it ships it"
        return [(synced.paths.id, "–", "–", "–", f"live: {told}")]
    return [
        (
            synced.paths.id,
            name,
            f"{status.shipped:,}",
            _console.size_text(status.behind_bytes) if status.behind_bytes else "–",
            status.error or status.where or "shipped",
        )
        for name, status in synced.sinks.items()
    ]


def _json(synced: Synced) -> dict[str, object]:
    sinks = {name: status.to_json() for name, status in synced.sinks.items()}
    return {"id": synced.paths.id, "name": synced.paths.name, "live": synced.live, "sinks": sinks}

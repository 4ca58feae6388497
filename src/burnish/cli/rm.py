"""`burnish rm`: remove runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from burnish.cli import _console
from burnish.cli._removal import Candidate, candidates, leftovers, remove, sweep
from burnish.core.paths import find_project
from burnish.journal.index import find_run


@click.command(short_help="Remove runs.")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Remove them; without it, only say what would be removed.")
@click.option("--force", is_flag=True, help="Also runs that others were made from; their lineage then leads nowhere.")
@click.option("--json", "as_json", is_flag=True, help="Print what goes and what stays as one object.")
def command(runs: tuple[str, ...], yes: bool, force: bool, as_json: bool) -> int:
    """Say which runs would be removed, and remove them with --yes.

    A run stays while it is live, while it is pinned, and while a run that stays was made from its checkpoints or
    artifacts; the others are removed, and the exit status is 1 where one had to stay.
    """
    project = find_project()
    _console.adopt(project)
    wanted = {paths.root: paths for paths in [find_run(project.runs, selector) for selector in runs]}
    found = candidates(list(wanted.values()), project.root, force=force)
    left = [path for folder in dict.fromkeys(root.parent for root in wanted) for path in leftovers(folder)]
    swept = 0
    if yes:
        swept = sum(sweep(path, project.root) for path in left)
        # What was made from another run goes before it: at no moment does a lineage lead nowhere.
        order = sorted((c for c in found if not c.refused), key=lambda c: c.paths.name, reverse=True)
        done = {c.paths.root: remove(c, project.root) for c in order}
        found = [done.get(c.paths.root, c) for c in found]
    if as_json:
        _show_json(found, left, dry_run=not yes)
    else:
        _show(found, left, swept, dry_run=not yes)
    return 1 if any(candidate.refused for candidate in found) else 0


def _show(found: Sequence[Candidate], left: Sequence[Path], swept: int, *, dry_run: bool) -> None:
    verb = "would be removed" if dry_run else "removed"
    rows = [[c.paths.name, c.state, f"{c.size_bytes:,}", f"stays: {c.refused}" if c.refused else verb] for c in found]
    _console.table(("run", "state", "bytes", ""), rows, right=(2,))
    for candidate in found:
        if candidate.checkpoints and not candidate.refused:
            _console.out(f"with the checkpoints of {candidate.paths.id} in {candidate.checkpoints}")
        elif candidate.kept and not candidate.refused:
            _console.err(f"the checkpoints of {candidate.paths.id} in {candidate.kept} stay: they may not be its own")
    going = [candidate for candidate in found if not candidate.refused]
    size = _console.size_text(sum(candidate.size_bytes for candidate in going))
    if left:
        what = "leftovers of a removal that was cut off"
        _console.err(f"{len(left)} {what} are swept with --yes" if dry_run else f"{what}: {swept:,} bytes swept")
    if dry_run and (going or left):
        _console.err(f"nothing is removed yet; --yes removes {len(going)} of {len(found)} runs, {size}")


def _show_json(found: Sequence[Candidate], left: Sequence[Path], *, dry_run: bool) -> None:
    going = [candidate for candidate in found if not candidate.refused]
    _console.out_json(
        {
            "dry_run": dry_run,
            "runs": [{**c.to_json(), "removed": not dry_run and not c.refused} for c in found],
            "size_bytes": sum(candidate.size_bytes for candidate in going),
            "leftovers": [str(path) for path in left],
        }
    )

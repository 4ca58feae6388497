"""`burnish doctor`: what is wrong here, and what to type."""

from __future__ import annotations

from dataclasses import asdict

import click

from burnish.cli import _console
from burnish.core.paths import find_project


@click.command(short_help="Check this machine and say what to fix.")
@click.option("--json", "as_json", is_flag=True, help='Print {"checks": […]}.')
def command(as_json: bool) -> int:
    """Check this machine and this project; exit 1 when something needs mending."""
    from burnish.project.doctor import examine

    project = find_project()
    _console.adopt(project)
    checks = examine(project)
    if as_json:
        _console.out_json({"checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            _console.out(f"{check.level:<8} {check.name:<12} {check.found}")
            if check.fix:
                _console.out(f"{'':<8} {'':<12} → {check.fix}")
    return int(any(check.level == "problem" for check in checks))

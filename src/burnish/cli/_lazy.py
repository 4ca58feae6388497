"""Groups of commands whose modules are imported when they are called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click


class LazyGroup(click.Group):
    """Knows its commands by name; the module of a command is imported when it is called.

    Args:
        known: Names of the commands, and what help says of each.
        package: Where their modules lie; each has a `command`.
    """

    def __init__(self, *args: Any, known: Mapping[str, str], package: str, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._known = known
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which help shows them."""
        return list(self._known)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module."""
        if cmd_name not in self._known:
            return None
        found = import_module(f"{self._package}.{cmd_name}{'_' if iskeyword(cmd_name) else ''}").command
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words name.

        Raises:
            UsageError: There is none of that name.
        """
        if args and args[0] not in self._known and not args[0].startswith("-"):
            from burnish.core.errors import UsageError
            from burnish.core.nearest import nearest

            best = nearest(args[0], self._known)
            path = ctx.command_path
            hint = f"did you mean {path} {best}?" if best else f"list the commands: {path} --help"
            what = args[0] if path == "burnish" else f"{path.partition(' ')[2]} {args[0]}"
            raise UsageError(f"no command {what!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._known.items()))

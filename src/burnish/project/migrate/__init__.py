"""Recipes of other tools as Burnish experiments: what can be carried over, and plainly what cannot."""

from burnish.project.migrate.convert import migrate
from burnish.project.migrate.migration import KINDS, Carried, Kind, Left, Migration, to_yaml

__all__ = ["KINDS", "Carried", "Kind", "Left", "Migration", "migrate", "to_yaml"]

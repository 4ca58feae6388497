"""Questions to many runs: which meet a condition, what their configs and metrics are, and how those went."""

from burnish.analyze.found import Runs
from burnish.analyze.query import Found, Query, find, runs
from burnish.analyze.table import Table

__all__ = ["Found", "Query", "Runs", "Table", "find", "runs"]

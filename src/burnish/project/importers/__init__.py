"""What other tools have recorded, as runs: each source tells of its runs, and one module writes them."""

from burnish.project.importers.found import SOURCES, Options, Source
from burnish.project.importers.intake import Failed, Imported, Intake, import_runs
from burnish.project.importers.sources import find_runs

__all__ = ["SOURCES", "Failed", "Imported", "Intake", "Options", "Source", "find_runs", "import_runs"]

"""MLflow's SQLite file, made whole or not at all.

MLflow makes its tables in dozens of migrations in place: killed midway it leaves a file that no MLflow opens again, and
two that begin at once disturb each other (both seen with 3.17).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from burnish.core.files import FileLock, draft_of, make_folder

_SCHEME: Final = "sqlite:///"


def make_database(uri: str, files: Path) -> None:
    """Make the file that a `sqlite:///` URI names, where it is not there; of any other URI, nothing.

    Args:
        uri: The tracking URI.
        files: Where artifacts go that no experiment of ours places.

    Raises:
        OSError: It cannot be written.
    """
    path = Path(uri.removeprefix(_SCHEME).partition("?")[0])
    if not uri.startswith(_SCHEME) or not path.name or path.exists():
        return
    make_folder(path.parent)
    with FileLock.acquire(path.with_name(f".{path.name}.lock")):
        if path.exists():  # another run's sink was faster
            return
        # Here, since it takes a second that whoever has a server need not pay.
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        for left in path.parent.glob(f".{path.name}.*.tmp*"):  # of one that was killed, SQLite's own journal too
            left.unlink(missing_ok=True)
        draft = draft_of(path)
        store = SqlAlchemyStore(f"{_SCHEME}{draft}", files.as_uri())
        store.engine.dispose()
        draft.replace(path)

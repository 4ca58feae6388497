"""What git knows about the code of a run. Reads only; the index and the work tree stay untouched."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

_TIMEOUT_S = 20
_MAX_DIFF_BYTES = 4 << 20
_NEVER_IN_DIFF = (".env", "*.env", "*.pem", "*.key", "id_rsa*", "id_ed25519*", "*credentials*", ".netrc")


@dataclass(frozen=True, slots=True)
class CodeState:
    """The commit that was checked out and how the work tree differed from it.

    Attributes:
        commit: Full hash; empty before the first commit.
        branch: Empty on a detached HEAD.
        dirty: Whether tracked files differ from the commit.
        untracked: Files that git does not know and does not ignore.
        diff: The difference of tracked files, cut at 4 MiB, without files that usually hold credentials.
    """

    commit: str
    branch: str
    dirty: bool
    untracked: tuple[str, ...]
    diff: str

    def to_json(self) -> dict[str, object]:
        """Return all but the diff, which is a file of its own."""
        return {k: v for k, v in asdict(self).items() if k != "diff"}


def read_code_state(folder: Path) -> CodeState | None:
    """Describe the repository that a folder lies in; None when there is no repository, or no git."""
    if _git(folder, "rev-parse", "--is-inside-work-tree") != "true":
        return None
    status = _git(folder, "status", "--porcelain", "-z", "--untracked-files=normal").split("\0")
    untracked = tuple(entry[3:] for entry in status if entry.startswith("??"))
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    excluded = [f":(exclude,glob)**/{pattern}" for pattern in _NEVER_IN_DIFF]
    diff = _git(folder, "diff", "--no-color", "--no-ext-diff", "HEAD", "--", ".", *excluded) if commit else ""
    return CodeState(
        commit=commit,
        branch=_git(folder, "symbolic-ref", "--quiet", "--short", "HEAD"),
        dirty=any(entry and not entry.startswith("??") for entry in status),
        untracked=untracked[:1000],
        diff=diff[:_MAX_DIFF_BYTES],
    )


def _git(folder: Path, *words: str) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            timeout=_TIMEOUT_S,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").rstrip("\n") if done.returncode == 0 else ""

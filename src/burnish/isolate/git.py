"""What git knows about the code of a run. Reads only; the index and the work tree stay untouched."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

_TIMEOUT_S = 20
_MAX_DIFF_BYTES = 4 << 20
_MAX_UNTRACKED = 1000
_NEVER_IN_DIFF = (".env", "*.env", "*.pem", "*.key", "id_rsa*", "id_ed25519*", "*credentials*", ".netrc")


@dataclass(frozen=True, slots=True)
class CodeState:
    """The commit that was checked out and how the work tree differed from it.

    Attributes:
        commit: Full hash; empty before the first commit.
        branch: Empty on a detached HEAD.
        dirty: Whether tracked files differ from the commit; None when git could not say.
        untracked: Files that git does not know and does not ignore.
        diff: The difference of tracked files, cut at 4 MiB, without files that usually hold credentials.
        complete: Whether status and diff are whole.
        remote: Address that others can get the commit from, without login; empty where there is none.
    """

    commit: str
    branch: str
    dirty: bool | None
    untracked: tuple[str, ...]
    diff: str
    complete: bool
    remote: str = ""

    def to_json(self) -> dict[str, object]:
        """Return all but the diff, which is a file of its own."""
        return {k: v for k, v in asdict(self).items() if k != "diff"}


def read_code_state(folder: Path) -> CodeState | None:
    """Describe the repository that a folder lies in; None when there is no repository, or no git."""
    if _git(folder, "rev-parse", "--is-inside-work-tree") != "true":
        return None
    status = _git(folder, "status", "--porcelain", "-z", "--untracked-files=normal")
    entries = status.split("\0") if status is not None else []
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD") or ""
    # From the repository's top: the project may be a folder of it, and its code may use what lies beside it.
    excluded = [f":(top,exclude,glob)**/{pattern}" for pattern in _NEVER_IN_DIFF]
    options = ("--no-color", "--no-ext-diff", "--no-textconv", "--binary")
    diff = _git(folder, "diff", *options, "HEAD", "--", ":(top)", *excluded) if commit else ""
    branch = _git(folder, "symbolic-ref", "--quiet", "--short", "HEAD") or ""
    return CodeState(
        commit=commit,
        branch=branch,
        dirty=None if status is None else any(e and not e.startswith("??") for e in entries),
        untracked=tuple(e[3:] for e in entries if e.startswith("??"))[:_MAX_UNTRACKED],
        diff=(diff or "")[:_MAX_DIFF_BYTES],
        complete=status is not None and diff is not None and len(diff) <= _MAX_DIFF_BYTES,
        remote=_remote(folder, branch),
    )


def _remote(folder: Path, branch: str) -> str:
    """Return the address of the branch's own remote, else of `origin`, else of the first.

    It is read as written: what `url.*.insteadOf` would put in its place may hold a token.
    """
    told = _git(folder, "config", "-z", "--get-regexp", r"^(remote\..*\.url|branch\..*\.remote)$") or ""
    found = dict(reversed([entry.split("\n", 1) for entry in told.split("\0") if "\n" in entry]))
    wanted = (f"remote.{found.get(f'branch.{branch}.remote', '')}.url", "remote.origin.url")
    first = next((name for name in reversed(found) if name.startswith("remote.")), "")
    url = next((found[name] for name in (*wanted, first) if name in found), "")
    return re.sub(r"^(https?://)[^/@]*@", r"\1", url).partition("?")[0]


def _git(folder: Path, *words: str) -> str | None:
    """Return what git prints; None when it fails or takes too long."""
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
        return None
    return done.stdout.decode(errors="replace").rstrip("\n") if done.returncode == 0 else None

"""A project with one run that somebody watches."""

import json
import os
import signal

import psutil

from burnish.core.paths import RunPaths


class Watched:
    """The only run of a project, its record, and the processes around it."""

    def __init__(self, burnish, eventually):
        self.burnish = burnish
        self._eventually = eventually
        self.process = None

    @property
    def paths(self):
        (folder,) = [path for path in self.burnish.runs.iterdir() if path.is_dir()]
        return RunPaths(folder)

    @property
    def record(self):
        return json.loads(self.paths.state.read_text())

    @property
    def training(self):
        return self.record["attempts"][-1]["process"]["pid"]

    def end_training(self):
        """Let the script end, which looks for the file `go`."""
        (self.burnish.root / "go").touch()
        pid = self.training
        self._eventually(lambda: not runs(pid), "training has ended")

    def kill(self, *pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for pid in pids:
            self._eventually(lambda pid=pid: not runs(pid), "a killed process is gone")

    def let_go(self):
        """Leave nothing behind: training ends by itself, whoever started it is killed."""
        (self.burnish.root / "go").touch()
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

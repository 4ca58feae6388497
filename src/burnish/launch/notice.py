"""An alert on its way to people."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.launch.alerts import Alert


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert as a channel gets it.

    Attributes:
        run: The run's full name.
        host: The machine that watches it.
        alert: What happened.
    """

    run: str
    host: str
    alert: Alert

    @property
    def line(self) -> str:
        """All of it in one line, for people."""
        text = f": {self.alert.text}" if self.alert.text else ""
        return f"{self.run}: {self.alert.title}{text}"

    def to_json(self) -> dict[str, object]:
        """Return what is sent to a webhook: `text` is what chat services show."""
        alert = self.alert
        told = {"reason": alert.reason, "level": alert.level, "title": alert.title, "step": alert.step}
        return {"text": self.line, "run": self.run, **told, "time": alert.time, "host": self.host}

"""What a sink's state says of one event file."""

from __future__ import annotations

from dataclasses import dataclass

from burnish.sinks.base import Gone, SinkState


@dataclass(frozen=True, slots=True)
class Mark:
    """What the state says of a journal, as `[size, attempt, is_settled, begin, tail]`; the first three of old.

    Attributes:
        size: Bytes of its event file that are vouched for.
        tail: The last of them, by which a file that somebody put there is known.
    """

    size: int = 0
    attempt: int = 1
    is_settled: bool = False
    begin: int | None = None
    tail: bytes = b""

    @classmethod
    def read(cls, state: SinkState, journal: str) -> Mark:
        """Return what a state says of a journal.

        Raises:
            Gone: Somebody wrote nonsense into it.
        """
        match state.get(journal):
            case None:
                return cls()
            case [int(size), int(attempt), bool(settled)] if size >= 0:
                return cls(size, attempt, settled)
            case [int(size), int(attempt), bool(settled), None | int() as begin, str(tail)] if size >= 0:
                try:
                    return cls(size, attempt, settled, begin, bytes.fromhex(tail))
                except ValueError:
                    pass
        raise Gone(f"the state says nothing sensible of {journal}")

    def to_json(self) -> list[object]:
        """Return it as it stands in the state."""
        return [self.size, self.attempt, self.is_settled, self.begin, self.tail.hex()]

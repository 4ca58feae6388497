"""Running training under supervision: spawn, watch, retry, record, adopt."""

from burnish.launch.adopt import adopt_orphans
from burnish.launch.progress import Progress
from burnish.launch.retry import RetryPolicy
from burnish.launch.supervisor import Supervisor

__all__ = ["Progress", "RetryPolicy", "Supervisor", "adopt_orphans"]

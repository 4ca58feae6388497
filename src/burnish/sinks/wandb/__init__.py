"""W&B, as the log that its own client writes, which `wandb sync` and `wandb beta sync --live` upload."""

from burnish.sinks.wandb.sink import WandbSink

__all__ = ["WandbSink"]

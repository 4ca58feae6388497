"""MLflow, in a database or behind a server."""

from burnish.sinks.mlflow.sink import MLflowSink

__all__ = ["MLflowSink"]

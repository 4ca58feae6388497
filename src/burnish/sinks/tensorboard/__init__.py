"""TensorBoard: event files in the run's folder, written without TensorFlow or torch."""

from burnish.sinks.tensorboard.sink import FOLDER, TensorBoardSink

__all__ = ["FOLDER", "TensorBoardSink"]

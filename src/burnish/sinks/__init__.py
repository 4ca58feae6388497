"""Shipping a journal elsewhere: the contract, the thread that drives it, and the sinks that come with Burnish."""

from burnish.sinks.base import Batch, Sink, SinkState
from burnish.sinks.builtin import SinkFactory, default_sinks, sink_factories
from burnish.sinks.memory import MemorySink
from burnish.sinks.shipper import Shipper

__all__ = [
    "Batch",
    "MemorySink",
    "Shipper",
    "Sink",
    "SinkFactory",
    "SinkState",
    "default_sinks",
    "sink_factories",
]

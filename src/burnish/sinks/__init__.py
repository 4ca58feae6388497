"""Shipping a journal elsewhere: the contract, the process around each sink, and the sinks that come with Burnish."""

from burnish.sinks.base import MAPPED, WHERE, Batch, Gone, Refused, Sink, SinkState
from burnish.sinks.shipper import Shipper, ShipStatus, finish_all

__all__ = [
    "MAPPED",
    "WHERE",
    "Batch",
    "Gone",
    "Refused",
    "ShipStatus",
    "Shipper",
    "Sink",
    "SinkState",
    "finish_all",
]

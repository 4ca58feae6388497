"""What every run can be told, whatever it trains. No torch here: a misspelt flag is told in a moment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from burnish.config import Config, Unit

SECRETS_VARIABLE = "BURNISH_SECRET_VALUES"
"""Carries config values that are masked on disk to the training process, as JSON: path to value."""


class RetryConfig(Config):
    """When a training process is started again: if it was killed, never for an error of its own."""

    max_attempts: int = Field(3, ge=1, le=1000, description="attempts in all, the first included")
    backoff_s: Annotated[float, Unit("s")] = Field(
        1.0, ge=0, description="wait before the second attempt; doubles each time"
    )


class TrackingConfig(Config):
    """Where the journal is shipped."""

    sinks: list[str] | None = Field(None, description="names of sinks; by default those that are installed")


class RunConfig(Config):
    """What any run can be told, a plain command included."""

    name: str = Field("", description="part of the run's name; runs of one name are found by it")
    group: str = Field("", description="what runs that belong together are shown under")
    tags: list[str] = Field([], description="words to find the run by")
    retry: RetryConfig = RetryConfig()
    tracking: TrackingConfig = TrackingConfig()


class ExperimentConfig(RunConfig):
    """What any experiment can be told."""

    experiment: str = Field(description="the experiment component that trains")
    seed: int = Field(0, ge=0, lt=2**32, description="seeds python, numpy and torch before the model is built")

"""What every run can be told, whatever it trains. No torch here: a misspelt flag is told in a moment."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from burnish.config import Config, Unit, broken
from burnish.core.errors import UsageError
from burnish.track.shipping import check_sinks

SECRETS_VARIABLE = "BURNISH_SECRET_VALUES"
"""Carries config values that are masked on disk to the training process, as JSON: path to value."""


class RetryConfig(Config):
    """When a training process is started again: if it was killed, never for an error of its own."""

    max_attempts: int = Field(3, ge=1, le=1000, description="attempts in all, the first included")
    backoff_s: Annotated[float, Unit("s")] = Field(
        1.0, ge=0, description="wait before the second attempt; doubles each time"
    )


class TierConfig(Config):
    """How often some metrics are recorded. One of `every`, `every_s`, `per_decade` and `on_change` says it."""

    metrics: str | list[str] = Field(description="names, or patterns such as grad/*; the first tier that fits counts")
    every: int | None = Field(None, ge=1, description="one value in so many steps")
    every_s: Annotated[float | None, Unit("s")] = Field(None, gt=0, description="one value in so much time")
    per_decade: int | None = Field(None, ge=1, le=1000, description="so many steps, evenly spaced in their logarithm")
    on_change: bool = Field(False, description="a value that differs from the last one recorded")

    @model_validator(mode="after")
    def _one_rule(self) -> TierConfig:
        stated = [self.every is not None, self.every_s is not None, self.per_decade is not None, self.on_change]
        if sum(stated) != 1:
            hint = "such as every: 10, every_s: 30, per_decade: 10 or on_change: true"
            rules = ("every", "every_s", "per_decade", "on_change")
            raise broken("metrics", "a tier wants exactly one rule", hint=hint, reads=rules)
        return self


class AlertsConfig(Config):
    """What is told while nobody looks, and to whom. Off until `on` names something."""

    on: list[Literal["nan", "crash", "stall", "finished", "alert"]] = Field(
        [], description="reasons: a metric is not finite, the run failed, no more rows, its end, Run.alert"
    )
    to: list[str] = Field(["console"], description="channels: console, webhook, or those that a package brings")
    stall_s: Annotated[float, Unit("s")] = Field(600.0, gt=0, description="without a row for so long, it stalls")


class TrackingConfig(Config):
    """What is recorded, how often, and where it is shipped."""

    sinks: str | list[str] | dict[str, Any] | None = Field(
        None, description="trackers, by name or with options; by default TensorBoard, where it is installed"
    )
    tiers: list[TierConfig] = Field([], description="metrics that are recorded less often than they are logged")
    system_every_s: Annotated[float, Unit("s")] = Field(
        10.0, ge=0, description="between two samples of CPU, memory, GPUs, disk and network; 0 for none"
    )
    alerts: AlertsConfig = AlertsConfig()
    linger_s: Annotated[float, Unit("s")] = Field(60.0, ge=0, description="longest wait for the sinks at the end")

    @model_validator(mode="after")
    def _sinks_are_known(self) -> TrackingConfig:
        if self.sinks is not None:
            try:
                check_sinks(self.sinks)
            except UsageError as error:
                path, _, message = error.message.partition(": ")
                raise broken(path, message, hint=error.hint) from error
        return self


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

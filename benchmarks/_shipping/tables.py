"""What was measured, as tables to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks._shipping.evidence import Ratio, ratio_of
from benchmarks._shipping.rounds import Case, Costs
from benchmarks._shipping.steps import AGAIN, ALL, NONE, Figures

BUDGET = 0.005
COMPARED = {"mean_ms": "mean", "median_ms": "median", "cpu_ms": "CPU"}
"""What is compared pair by pair. A step's CPU is what other work on the machine disturbs least; it waits for nobody."""
_TITLES = {
    NONE: "no sinks",
    AGAIN: "no sinks, once more",
    ALL: "all three sinks",
    "stopped": "  MLflow's server killed",
    "hanging": "  MLflow's server hanging",
    "500": "  MLflow's server answering 500",
}


def ways_table(costs: Mapping[Case, Costs]) -> str:
    """Return what each way into a tracker costs, beside Burnish's sink."""
    head = f"{'':<38}{'points/s':>10}{'CPU µs/point':>14}{'+ service':>11}{'+ server':>10}"
    lines = [f"{head}{'× sink':>9}{'B/point':>9}{'MB':>6}{'begin s':>9}"]
    sinks = {case.place: cost for case, cost in costs.items() if case.way == "sink"}
    for case, cost in costs.items():
        line = f"{f'{case.place}: {case.way}':<38}{cost.points_a_second:>10,.0f}{cost.cpu_us:>14.2f}"
        line += f"{cost.services_us:>11.2f}{cost.server_us:>10.2f}"
        own = sinks.get(case.place)
        times = f"{_cpu(cost) / _cpu(own):.1f}" if own and _cpu(own) else ""
        lines.append(f"{line}{times:>9}{cost.bytes_a_point:>9.1f}{cost.peak_mb:>6.0f}{cost.begin_s:>9.2f}")
    lines.append("× sink: all CPU of a point, beside that of Burnish's sink")
    return "\n".join(lines)


def steps_table(runs: Mapping[str, Sequence[Figures]]) -> str:
    """Return how long steps take with each kind of run: medians over the runs."""
    head = f"{'a step, ms':<34}{'mean':>8}{'median':>8}{'p99':>8}{'most':>8}{'CPU':>8}  {'first s':>8}{'mean':>8}"
    lines = [f"{head}  {'supervisor':>11}{'sinks':>8}{'server':>8}"]
    for kind, every in runs.items():
        told = {name: median(one[name] for one in every) for name in every[0]}
        line = f"{_TITLES[kind]:<34}{told['mean_ms']:>8.3f}{told['median_ms']:>8.3f}{told['p99_ms']:>8.2f}"
        line += f"{told['most_ms']:>8.1f}{told['cpu_ms']:>8.3f}  {told['warm_s']:>8.1f}{told['warm_ms']:>8.3f}  "
        lines.append(f"{line}{told['supervisor_ms']:>11.3f}{told['sinks_ms']:>8.3f}{told['server_ms']:>8.3f}")
    lines.append(
        "first s: what came before, with the imports of the sinks; right: CPU that others used in a step's time"
    )
    return "\n".join(lines)


def ratios(runs: Mapping[str, Sequence[Figures]], figure: str) -> dict[str, Ratio]:
    """Return how each kind of run compares with none, pair by pair."""
    without = runs[NONE]
    return {
        kind: ratio_of([(one[figure], other[figure]) for one, other in zip(every, without, strict=False)])
        for kind, every in runs.items()
        if kind != NONE
    }


def ratios_table(runs: Mapping[str, Sequence[Figures]]) -> str:
    """Return the ratios with their intervals, and a verdict on the means."""
    head = f"{'a step beside one without sinks':<34}{'pairs':>6}"
    lines = [head + "".join(f"{title:>9}{'95 %':>18}" for title in COMPARED.values())]
    found = {figure: ratios(runs, figure) for figure in COMPARED}
    for kind, mean in found["mean_ms"].items():
        line = f"{_TITLES[kind]:<34}{len(mean.pairs):>6}"
        for each in found.values():
            line += f"{each[kind].value:>9.4f}{_interval(each[kind]):>18}"
        lines.append(f"{line}  {'noise' if kind == AGAIN else mean.verdict(BUDGET)}")
    lines.append(f"budget: means within {BUDGET:.1%}")
    return "\n".join(lines)


def _interval(ratio: Ratio) -> str:
    return "too few pairs" if ratio.low is None else f"{ratio.low:.4f} – {ratio.high:.4f}"


def _cpu(cost: Costs) -> float:
    return cost.cpu_us + cost.services_us + cost.server_us

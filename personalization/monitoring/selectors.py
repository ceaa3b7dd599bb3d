"""The state of the system in numbers. docs/metrics.md tells each formula, under the same anchor."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from personalization.lib.charts import Sparkline, sparkline
from personalization.lib.metrics import DECISION_BUCKETS_S
from personalization.lib.widgets import Figure, Table, Tone, duration, number
from personalization.monitoring.engine import quantile
from personalization.monitoring.models import MinuteStat
from personalization.monitoring.services import BUCKET_PREFIX
from personalization.ops import serve as config
from personalization.ops.models import ConfigVersion, Heartbeat
from recommender.models import ModelVersion
from segments.learning.drifted import drifted_models

WINDOW_MINUTES = 60
RECENT_MINUTES = 5
# A processor reports every 5 s; one that has been silent for four turns is stuck or gone.
SILENT_S = 20
# Goals: an event shows in decisions within a second; an answer takes 25 ms at the 99th percentile.
LAG_GOAL_S, LAG_BAD_S = 1.0, 30.0
P99_GOAL_S, P99_BAD_S = 0.025, 0.050
REJECTED_WARN, REJECTED_BAD = 0.01, 0.05
DEGRADED_WARN, DEGRADED_BAD = 0.01, 0.10
# Of fewer answers a share says nothing: one of eight is no alarm.
LEAST_DECISIONS = 100
# Of a thousand answers ten lie beyond the 99th percentile. Fewer slow ones are a start or a hiccup,
# and fewer rejected events somebody's first tries.
LEAST_FAULTS = 10
TOO_FEW = "too few to judge"
MODEL_WARN_DAYS, MODEL_BAD_DAYS = 2, 7
UNKNOWN = "—"
# Signs of life come every few seconds; half a minute without one is no hiccup.
ALIVE_S = 30
NEEDED_PROCESSES = ("web", "processor", "worker", "beat")


@dataclass(frozen=True, slots=True)
class Minutes:
    """The minutes of one window, oldest first: name -> value per minute."""

    starts: tuple[datetime, ...]
    values: Mapping[str, Mapping[datetime, float]] = field(default_factory=dict)
    updated_at: Mapping[str, datetime] = field(default_factory=dict)

    def series(self, name: str) -> tuple[float, ...]:
        """Return the value of each minute; a minute in which nobody counted is 0."""
        found = self.values.get(name, {})
        return tuple(found.get(start, 0.0) for start in self.starts)

    def total(self, name: str, *, last: int = WINDOW_MINUTES) -> float:
        """Return the sum over the last minutes."""
        return sum(self.series(name)[-last:])


def minutes(now: datetime) -> Minutes:
    """Return the last WINDOW_MINUTES minutes, the one that is running included. One query."""
    this = now.replace(second=0, microsecond=0)
    starts = tuple(this - timedelta(minutes=back) for back in range(WINDOW_MINUTES - 1, -1, -1))
    values: dict[str, dict[datetime, float]] = defaultdict(dict)
    updated: dict[str, datetime] = {}
    rows = MinuteStat.objects.filter(minute__gte=starts[0], minute__lte=this)
    for minute, name, value, at in rows.values_list("minute", "name", "value", "updated_at"):
        values[name][minute] = value
        updated[name] = max(at, updated.get(name, at))
    return Minutes(starts, values, updated)


def system_figures(now: datetime) -> tuple[Figure, ...]:
    """Return the figures of the overview. Five queries."""
    window = minutes(now)
    return (
        _events(window, now),
        _latency(window, now),
        _lag(window, now),
        _rejected(window, now),
        _decisions(window, now),
        _models(now),
        _configuration(now),
        _processes(now),
        *_drift(),
    )


def _events(window: Minutes, now: datetime) -> Figure:
    series = window.series("events_accepted")
    rate = window.total("events_accepted", last=RECENT_MINUTES) / RECENT_MINUTES
    return Figure(
        title="Events per minute",
        value=number(round(rate, 1)),
        note=f"accepted, mean of the last {RECENT_MINUTES} min; chart: last {WINDOW_MINUTES} min",
        docs="metrics#events-per-minute",
        as_of=now,
        spark=_chart(window, series, "Events accepted"),
        table=_table(window, ("Minute", "Events"), series),
    )


def _latency(window: Minutes, now: datetime) -> Figure:
    median, p99 = (_latency_of(window, share, slice(None)) for share in (0.5, 0.99))
    per_minute = [_latency_of(window, 0.99, slice(i, i + 1)) for i in range(len(window.starts))]
    tone, state = _judge_latency(window, p99)
    milliseconds = [None if value is None else value * 1000 for value in per_minute]
    return Figure(
        title="Decision time, p50 / p99",
        value=UNKNOWN if p99 is None else f"{_ms(median)} / {_ms(p99)}",
        unit="" if p99 is None else "ms",
        note=f"all answers of the last {WINDOW_MINUTES} min; chart: p99 by minute",
        docs="metrics#decision-time",
        as_of=now,
        tone=tone,
        state=state,
        spark=_chart(window, milliseconds, "99th percentile in milliseconds"),
        table=_table(window, ("Minute", "p99 ms"), milliseconds),
    )


def _lag(window: Minutes, now: datetime) -> Figure:
    at = window.updated_at.get("process_lag_s")
    figure = Figure(
        title="Processing lag",
        value=UNKNOWN,
        note="no processor has reported in the last hour",
        docs="metrics#processing-lag",
        as_of=at,
        tone=Tone.WARN,
        state="not running",
    )
    if at is None:
        return figure
    by_minute = window.values["process_lag_s"]
    lag_s = by_minute[max(by_minute)]
    tone, state = _judge(lag_s, LAG_GOAL_S, LAG_BAD_S, ("within 1 s", "over 1 s", "over 30 s"))
    if (now - at).total_seconds() > SILENT_S:
        tone, state = Tone.BAD, "processor silent"
    value, unit = duration(lag_s)
    note = "age of the oldest event that no profile shows yet, as last reported"
    return replace(figure, value=value, unit=unit, tone=tone, state=state, note=note)


def _rejected(window: Minutes, now: datetime) -> Figure:
    rejected, accepted = window.total("events_rejected"), window.total("events_accepted")
    share = rejected / (rejected + accepted) if rejected + accepted else None
    words = ("below 1 %", "over 1 %", "over 5 %")
    tone, state = _judge(share, REJECTED_WARN, REJECTED_BAD, words)
    if tone in {Tone.WARN, Tone.BAD} and rejected < LEAST_FAULTS:
        tone, state = Tone.PLAIN, TOO_FEW
    return Figure(
        title="Rejected share",
        value=UNKNOWN if share is None else number(round(share * 100, 2)),
        unit="" if share is None else "%",
        note=f"{number(rejected)} of {number(rejected + accepted)} events, last "
        f"{WINDOW_MINUTES} min",
        docs="metrics#rejected-share",
        as_of=now,
        tone=tone,
        state=state,
    )


def _decisions(window: Minutes, now: datetime) -> Figure:
    made, degraded = window.total("decisions"), window.total("decisions_degraded")
    rate = window.total("decisions", last=RECENT_MINUTES) / RECENT_MINUTES
    words = ("none to speak of", "some degraded", "many degraded")
    share = degraded / made if made >= LEAST_DECISIONS else None
    tone, state = _judge(share, DEGRADED_WARN, DEGRADED_BAD, words)
    return Figure(
        title="Decisions per minute",
        value=number(round(rate, 1)),
        note=f"mean of the last {RECENT_MINUTES} min; {number(degraded)} of {number(made)} in the "
        f"last {WINDOW_MINUTES} min used a fallback",
        docs="metrics#decisions-per-minute",
        as_of=now,
        tone=tone,
        state=state if tone in {Tone.WARN, Tone.BAD} else "",
    )


def _models(now: datetime) -> Figure:
    live = list(
        ModelVersion.objects.filter(status=ModelVersion.Status.LIVE)
        .order_by("created_at")
        .values_list("algorithm", "number", "created_at")
    )
    figure = Figure(
        title="Model age",
        value=UNKNOWN,
        note="no model serves yet; train one with manage.py train",
        docs="metrics#model-age",
        as_of=now,
        tone=Tone.WARN,
        state="none live",
    )
    if not live:
        return figure
    age_s = max((now - live[0][2]).total_seconds(), 0.0)
    words = ("fresh", f"over {MODEL_WARN_DAYS} days", f"over {MODEL_BAD_DAYS} days")
    tone, state = _judge(age_s, MODEL_WARN_DAYS * 86_400, MODEL_BAD_DAYS * 86_400, words)
    value, unit = duration(age_s)
    rows = tuple((a, f"v{n}", f"{at:%Y-%m-%d %H:%M}") for a, n, at in live)
    return replace(
        figure,
        value=value,
        unit=unit,
        tone=tone,
        state=state,
        note=f"oldest of {len(live)} live model{'s' if len(live) > 1 else ''}",
        table=Table(("Algorithm", "Version", "Trained (UTC)"), rows),
    )


def _configuration(now: datetime) -> Figure:
    newest = ConfigVersion.objects.values_list("version", "created_at", "actor").first()
    figure = Figure(
        title="Configuration",
        value=UNKNOWN,
        note="nothing has been published yet",
        docs="metrics#configuration",
        as_of=now,
    )
    if newest is None:
        return figure
    version, at, actor = newest
    age, unit = duration(max((now - at).total_seconds(), 0.0))
    figure = replace(figure, value=f"v{version}", note=f"published {age} {unit} ago by {actor}")
    fault = config.stuck()
    if fault is None:
        return figure
    note = f"an older version serves; this one cannot be built: {str(fault)[:200]}"
    return replace(figure, note=note, tone=Tone.BAD, state="not in force")


def _processes(now: datetime) -> Figure:
    limit = now - timedelta(seconds=ALIVE_S)
    alive = Counter(Heartbeat.objects.filter(at__gte=limit).values_list("kind", flat=True))
    missing = [kind for kind in NEEDED_PROCESSES if not alive[kind]]
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(alive.items()))
    return Figure(
        title="Processes",
        value=str(alive.total()),
        note=told or f"no process has given a sign of life in the last {ALIVE_S} s",
        docs="metrics#processes",
        as_of=now,
        tone=Tone.WARN if missing else Tone.GOOD,
        state=f"no {missing[0]}" if missing else "all there",
    )


def _drift() -> Iterator[Figure]:
    """Yield a figure where learned models see other customers than they learnt from, else none."""
    found = drifted_models()
    if not found:
        return
    worst = found[0]
    rows = tuple((f"{one.key} v{one.version}", one.what, f"{one.psi:.2f}") for one in found)
    yield Figure(
        title="Drift of customers",
        value=f"{worst.psi:.2f}",
        unit="PSI",
        note=f"{worst.what}, of {worst.key}; {len(found)} learned model"
        f"{'s' if len(found) > 1 else ''} to be learnt again",
        docs="metrics#drift-of-customers",
        as_of=worst.as_of,
        tone=Tone.WARN,
        state="shifted",
        table=Table(("Model", "What moved most", "PSI"), rows),
    )


def _judge_latency(window: Minutes, p99: float | None) -> tuple[Tone, str]:
    """Judge the 99th percentile; one over a goal needs LEAST_FAULTS answers that were slower."""
    if p99 is None:
        return Tone.PLAIN, ""
    if p99 <= P99_GOAL_S:
        return Tone.GOOD, "within 25 ms"
    total = window.total(f"{BUCKET_PREFIX}+Inf")
    for goal_s, tone, state in (
        (P99_BAD_S, Tone.BAD, "over 50 ms"),
        (P99_GOAL_S, Tone.WARN, "over 25 ms"),
    ):
        if p99 > goal_s and total - window.total(f"{BUCKET_PREFIX}{goal_s}") >= LEAST_FAULTS:
            return tone, state
    return Tone.PLAIN, TOO_FEW


def _latency_of(window: Minutes, share: float, part: slice) -> float | None:
    """Return a quantile in seconds over some minutes of the window."""
    names = {
        float(name.removeprefix(BUCKET_PREFIX)): name
        for name in window.values
        if name.startswith(BUCKET_PREFIX)
    }
    # A bucket that nothing fell into has no row; left out, its neighbour would seem wider.
    bounds = (*DECISION_BUCKETS_S, float("inf"))
    counts = [sum(window.series(names.get(bound, ""))[part]) for bound in bounds]
    return quantile(bounds, counts, share)


def _judge(
    value: float | None, warn: float, bad: float, words: tuple[str, str, str]
) -> tuple[Tone, str]:
    if value is None:
        return Tone.PLAIN, ""
    if value > bad:
        return Tone.BAD, words[2]
    return (Tone.WARN, words[1]) if value > warn else (Tone.GOOD, words[0])


def _ms(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else number(round(seconds * 1000, 1))


def _chart(window: Minutes, series: tuple[float, ...] | list[float | None], what: str) -> Sparkline:
    top = max((value for value in series if value is not None), default=0.0)
    return sparkline(
        series,
        summary=f"{what} by minute, {window.starts[0]:%H:%M} to {window.starts[-1]:%H:%M} UTC; "
        f"highest {number(round(top, 1))}",
    )


def _table(
    window: Minutes, headers: tuple[str, str], series: tuple[float, ...] | list[float | None]
) -> Table:
    rows = tuple(
        (f"{start:%H:%M}", UNKNOWN if value is None else number(round(value, 1)))
        for start, value in zip(reversed(window.starts), reversed(series), strict=True)
    )
    return Table(headers, rows)

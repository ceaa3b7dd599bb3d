"""Every Prometheus metric of the core apps, named `p13n_<app>_<thing>_<unit>`.

Counting costs about a microsecond; `monitoring` sums up processes and keeps minutes.
"""

from prometheus_client import Counter, Gauge, Histogram

# Fine around the goals (p99 <= 25 ms, budget 50 ms): a quantile read from buckets is honest there.
DECISION_BUCKETS_S = (
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015,
    0.02, 0.025, 0.035, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0,
)  # fmt: skip

EVENTS_ACCEPTED = Counter("p13n_events_accepted_total", "Events stored.")
EVENTS_DUPLICATE = Counter(
    "p13n_events_duplicate_total",
    "Events that the log held already; answered as accepted once more.",
)
EVENTS_REJECTED = Counter(
    "p13n_events_rejected_total", "Events refused with a reason and kept for replay."
)
EVENTS_WITHHELD = Counter(
    "p13n_events_withheld_total", "Events dropped or minimised for lack of consent."
)
PROCESSED_EVENTS = Counter("p13n_events_processed_total", "Events folded into profiles.")
PROCESS_LAG_S = Gauge(
    "p13n_events_process_lag_seconds",
    "Age of the oldest accepted event that no profile shows yet.",
    multiprocess_mode="mostrecent",
)
DECISIONS = Counter("p13n_decisions_answers_total", "Answers of the decision API.", ["degraded"])
DECISION_SECONDS = Histogram(
    "p13n_decisions_stage_seconds",
    "Time that one decision spent, whole (stage=total) and per stage.",
    ["stage"],
    buckets=DECISION_BUCKETS_S,
)
CONFIG_VERSION = Gauge(
    "p13n_ops_config_version_number",
    "Configuration version that this process serves.",
    multiprocess_mode="mostrecent",
)
CONFIG_UNBUILT = Gauge(
    "p13n_ops_config_unbuilt_number",
    "Newest configuration version where a process cannot build it and serves another; else 0.",
    multiprocess_mode="max",
)
DECISION_LOG_LOST = Counter(
    "p13n_decisions_log_lost_total", "Decisions answered whose log row could not be written."
)
SEGMENT_TIMER_LATE_S = Histogram(
    "p13n_segments_timer_late_seconds",
    "How long after its moment an entry or exit by the clock alone was written.",
    buckets=(0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0, 3600.0),
)

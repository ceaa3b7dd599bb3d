"""/metrics over several processes: sums of all, also of those that have ended; files stay few."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from personalization.monitoring import metricfiles, services

pytestmark = pytest.mark.django_db

# Counts, sets a gauge, says so, and lives until its input ends.
COUNT = """
import sys
from personalization.lib import metrics
metrics.EVENTS_ACCEPTED.inc(float(sys.argv[1]))
metrics.DECISION_SECONDS.labels("total").observe(0.004)
metrics.PROCESS_LAG_S.set(float(sys.argv[1]))
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


def counting(amount: int) -> subprocess.Popen[str]:
    """Start a process that has counted `amount` events when this returns."""
    child = subprocess.Popen(
        [sys.executable, "-c", COUNT, str(amount)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "counted\n"
    return child


def ended(child: subprocess.Popen[str]) -> None:
    child.communicate()


def shown(client: Client, name: str) -> float | None:
    text = client.get("/metrics").content.decode()
    lines = [line for line in text.splitlines() if line.startswith(name)]
    return float(lines[0].rpartition(" ")[2]) if lines else None


def test_metrics__two_processes_one_ended__are_summed(folder: Path, client: Client) -> None:
    living, other = counting(3), counting(4)
    ended(other)

    total = shown(client, "p13n_events_accepted_total")

    ended(living)
    assert total == 7


def test_tidy__processes_ended__sums_stay_files_and_gauges_go(folder: Path, client: Client) -> None:
    for amount in (3, 4):
        ended(counting(amount))

    services.tidy_metric_files()

    assert shown(client, "p13n_events_accepted_total") == 7
    assert shown(client, 'p13n_decisions_stage_seconds_count{stage="total"}') == 2
    assert shown(client, "p13n_events_process_lag_seconds") is None
    assert {file.name for file in folder.glob("*.db")} == {"counter_0.db", "histogram_0.db"}


def test_tidy__process_alive__keeps_its_files(folder: Path, client: Client) -> None:
    living = counting(5)

    gone = metricfiles.tidy(folder)

    lag = shown(client, "p13n_events_process_lag_seconds")
    ended(living)
    assert gone == 0
    assert lag == 5


def test_tidy__again_after_more_ended__adds_up(folder: Path, client: Client) -> None:
    for amount in (1, 2):
        ended(counting(amount))
        services.tidy_metric_files()

    assert shown(client, "p13n_events_accepted_total") == 3


def test_tidy__one_process_only__has_no_files_to_tidy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)

    services.tidy_metric_files()


WORKER = """
import sys
sys.argv = ["celery", "--app", "personalization.celery", "worker"]
import personalization.celery
from django.conf import settings
settings.LOCAL_DIR
"""


@pytest.mark.parametrize(
    "command", [["manage.py", "process", "--help"], ["-c", WORKER]], ids=["processor", "worker"]
)
def test_entry_points__without_our_supervisor__count_in_shared_files(
    tmp_path: Path, command: list[str]
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "P13N_PROCESS"}
    environment |= {"LOCAL_DIR": str(tmp_path)}

    subprocess.run([sys.executable, *command], env=environment, check=True, capture_output=True)

    assert (tmp_path / "metrics").is_dir()

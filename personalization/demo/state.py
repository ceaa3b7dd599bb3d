"""What stands of the demo shop: its plan, its public key, how far it is filled."""

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Any

from personalization.access.models import ApiKey
from personalization.demo.engine.traffic import Plan
from personalization.ops.models import JobRun

KIND = "demo"
SLOT = "shop"


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo of this installation. `stage` names what is being done, "" when all is done."""

    plan: Plan
    public_key: str
    stage: str
    done: int
    total: int
    ready: bool
    status: str


def current() -> Demo | None:
    """Return the demo, or None where none was made."""
    run = JobRun.objects.filter(kind=KIND, slot=SLOT).first()
    if run is None:
        return None
    plan = plan_of(run.params)
    finished = run.status == JobRun.Status.SUCCEEDED
    return Demo(
        plan=plan,
        public_key=str(run.checkpoint.get("public_key", "")),
        stage="" if finished else str(run.checkpoint.get("stage", "starting")),
        done=run.done,
        total=plan.events,
        ready=bool(run.checkpoint.get("ready", False)),
        status=run.status,
    )


def plan_of(params: dict[str, Any]) -> Plan:
    """Return the plan that a run was started with."""
    names = {field.name for field in fields(Plan)}
    return Plan(**{key: value for key, value in params.items() if key in names})


def params_of(plan: Plan) -> dict[str, Any]:
    """Return a plan as the parameters of a run."""
    return asdict(plan)


def key_works(key: str) -> bool:
    """Whether a key is known and not revoked."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return bool(key) and ApiKey.objects.filter(sha256=digest, revoked_at=None).exists()

"""A cluster saved as a segment: the rule that retells it becomes a draft that people may edit."""

from segments.learning.errors import NoRule
from segments.models.learning import LearnedModel
from segments.models.rules import Segment
from segments.services import create_segment, save_draft


def save_cluster(model: LearnedModel, label: int, *, actor: str) -> Segment:
    """Return a segment whose draft is the rule of one cluster, made or written anew.

    Idempotent: the key is the model's and the cluster's number. What decides is not touched.

    Raises
    ------
    NoRule
        The tree has no rule for that cluster.
    RuleInvalid
        The rule reads what is not there, most likely features that were never scored.
    """
    told = [one for one in model.metrics.get("clusters", ()) if one["label"] == label]
    if not told or told[0]["rule"] is None:
        msg = f"no rule tells cluster {label} of {model} from the others"
        raise NoRule(msg)
    one = told[0]
    key = f"{model.key.replace('_', '-')}-cluster-{label}".lower()
    note = f"cluster {label} of {model}: precision {one['precision']}, coverage {one['coverage']}"
    row = Segment.objects.filter(key=key).first()
    if row is not None:
        save_draft(key=key, rule=one["rule"], actor=actor, note=note)
        return row
    values = {"title": one["title"], "description": note}
    return create_segment(key=key, values=values, rule=one["rule"], actor=actor)

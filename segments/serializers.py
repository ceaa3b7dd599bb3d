"""Shapes of `/api/segments/`. What a rule may hold is judged by `segments.engine.validation`."""

from typing import Any

from rest_framework import serializers

from personalization.ops.models import JobRun
from segments.models import Change, Segment, SegmentVersion

Plain = serializers.Serializer[Any]


class RuleField(serializers.JSONField):
    """A rule of docs/rules.md."""


class SegmentInputSerializer(Plain):
    """A new segment: its draft is made with it."""

    key = serializers.CharField(max_length=60)
    title = serializers.CharField(max_length=200, required=False, allow_blank=True)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    rule = RuleField()


class SegmentTextSerializer(Plain):
    """What may change of a segment at any time."""

    title = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)


class DraftInputSerializer(Plain):
    """The rule of a draft, and a note for colleagues."""

    rule = RuleField()
    note = serializers.CharField(max_length=200, required=False, allow_blank=True)
    expected = serializers.CharField(
        max_length=40,
        required=False,
        help_text="The segment's `draft_mark` as it was read: where the draft has changed since"
        " then the answer is 409 and nothing is written. Left out: whichever is there is replaced.",
    )


class RuleInputSerializer(Plain):
    """A rule to look at."""

    rule = RuleField()


class TrendPointSerializer(Plain):
    """How many members there were, once a day."""

    at = serializers.DateTimeField()
    members = serializers.IntegerField()


class SegmentSerializer(Plain):
    """A segment in a list. `size` is counted now, `as_of`; `version` is the one in force."""

    key = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    kind = serializers.ChoiceField(choices=Segment.Kind.choices)
    built_in = serializers.BooleanField()
    status = serializers.ChoiceField(
        choices=["draft", "taking_in", "live"],
        help_text="taking_in: the first version is being decided for every customer.",
    )
    version = serializers.IntegerField(allow_null=True)
    draft = serializers.IntegerField(allow_null=True)
    shadow = serializers.IntegerField(allow_null=True)
    sentence = serializers.CharField()
    size = serializers.IntegerField()
    as_of = serializers.DateTimeField()
    trend = TrendPointSerializer(many=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class VersionSerializer(Plain):
    """One version. `progress`: the share of customers that have taken it in, while that runs."""

    number = serializers.IntegerField()
    status = serializers.ChoiceField(choices=SegmentVersion.Status.choices)
    rule = RuleField()
    sentence = serializers.CharField()
    note = serializers.CharField()
    size = serializers.IntegerField(allow_null=True)
    progress = serializers.FloatField(allow_null=True)
    publish_when_ready = serializers.BooleanField()
    ready_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    published_at = serializers.DateTimeField(allow_null=True)


class UseSerializer(Plain):
    """Something that names the segment."""

    where = serializers.CharField()
    what = serializers.CharField()


class SegmentDetailSerializer(SegmentSerializer):
    """A segment with its versions, newest first, and what names it."""

    draft_mark = serializers.CharField(
        help_text="The state of the draft, `none` without one; `expected` of the next draft."
    )
    versions = VersionSerializer(many=True)
    dependents = UseSerializer(many=True)


class MemberSerializer(Plain):
    """A customer in a version, since when."""

    uuid = serializers.UUIDField()
    user_ids = serializers.ListField(child=serializers.CharField())
    entered_at = serializers.DateTimeField()


class ChangeSerializer(Plain):
    """An entry or an exit. `at`: when it became true; `noticed_at`: when it was written."""

    uuid = serializers.UUIDField(allow_null=True, help_text="null: the customer was erased.")
    entered = serializers.BooleanField()
    at = serializers.DateTimeField()
    noticed_at = serializers.DateTimeField()
    version = serializers.IntegerField()
    cause = serializers.ChoiceField(choices=Change.Cause.choices)
    event = serializers.CharField(
        allow_blank=True,
        help_text="With cause `event`: the newest event taken in then, where the rule reads it.",
    )


class SomeoneSerializer(Plain):
    """A customer to look at; `url` is its page in the admin."""

    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field of this name hides an attribute
    url = serializers.CharField()


class SamplesSerializer(Plain):
    """Ten customers, at most, of each."""

    entering = SomeoneSerializer(many=True)
    leaving = SomeoneSerializer(many=True)
    staying = SomeoneSerializer(many=True)


class DiffSerializer(Plain):
    """Who enters, leaves and stays when `to_number` takes over from `from_number`."""

    from_number = serializers.IntegerField(allow_null=True)
    to_number = serializers.IntegerField()
    as_of = serializers.DateTimeField()
    exact = serializers.BooleanField()
    margin = serializers.IntegerField(
        allow_null=True, help_text="Where sampled: customers by which a count may be off, at 95 %."
    )
    entering = serializers.IntegerField()
    leaving = serializers.IntegerField()
    staying = serializers.IntegerField()
    samples = SamplesSerializer()


class ConditionSerializer(Plain):
    """One condition: for how many it holds alone, how many it removes, and the margins of both."""

    path = serializers.CharField(allow_blank=True)
    sentence = serializers.CharField()
    matching = serializers.IntegerField()
    matching_margin = serializers.IntegerField()
    removes = serializers.IntegerField()
    removes_margin = serializers.IntegerField()


class OverlapSerializer(Plain):
    """A segment in force that shares members, with the margin of how many."""

    key = serializers.CharField()
    title = serializers.CharField()
    shared = serializers.IntegerField()
    shared_margin = serializers.IntegerField()
    size = serializers.IntegerField()


class PreviewSerializer(Plain):
    """Who a rule is, before it is saved.

    `margin`: how far off `count` may be, at 95 %; so are the margins of conditions and overlaps.
    """

    valid = serializers.BooleanField()
    sentence = serializers.CharField()
    count = serializers.IntegerField()
    total = serializers.IntegerField()
    exact = serializers.BooleanField()
    margin = serializers.IntegerField()
    sample = SomeoneSerializer(many=True)
    conditions = ConditionSerializer(many=True)
    overlap = OverlapSerializer(many=True)
    as_of = serializers.DateTimeField()
    ms = serializers.FloatField()


class RuleProblemSerializer(Plain):
    """One fault, where it is and what to do."""

    path = serializers.CharField(allow_blank=True)
    problem = serializers.CharField()
    words = serializers.CharField(required=False, help_text="For people; with `faults=words`.")


class InvalidRuleSerializer(Plain):
    """Why a rule cannot be looked at."""

    valid = serializers.BooleanField()
    problems = RuleProblemSerializer(many=True)


class PartSerializer(Plain):
    """One node of a rule as it stands for a customer; `parts` are nodes like it.

    `value` decided it: a figure, a time, a trait. `at`: when the newest event that counts happened,
    or the trait was last changed. `turns_at`: when the verdict changes if no event comes.
    """

    path = serializers.CharField(allow_blank=True)
    kind = serializers.CharField()
    sentence = serializers.CharField()
    holds = serializers.BooleanField()
    turns_at = serializers.DateTimeField(allow_null=True)
    value = serializers.JSONField(required=False, allow_null=True)
    of = serializers.IntegerField(required=False, allow_null=True)
    at = serializers.DateTimeField(required=False, allow_null=True)
    last_at = serializers.DateTimeField(required=False, allow_null=True)
    then_at = serializers.DateTimeField(required=False, allow_null=True)
    parts = serializers.ListField(child=serializers.DictField(), required=False)


class WhySerializer(Plain):
    """Why a customer is in a segment, or not.

    `recorded`: what the table of members says. `reason`: `no_consent`, `no_events`, or empty.
    """

    customer = serializers.UUIDField()
    as_of = serializers.DateTimeField()
    segment = serializers.CharField()
    title = serializers.CharField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(choices=SegmentVersion.Status.choices)
    sentence = serializers.CharField()
    member = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)
    recorded = serializers.BooleanField(allow_null=True)
    since = serializers.DateTimeField(allow_null=True)
    turns_at = serializers.DateTimeField(allow_null=True)
    rule = PartSerializer()


class LookalikeRunSerializer(Plain):
    """The newest run that learns lookalikes: a job (`/api/jobs/`), `done` of `total` steps."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=JobRun.Status.choices)
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class LookalikeModelSerializer(Plain):
    """The model that serves; `auc` by cross-validation."""

    version = serializers.IntegerField()
    auc = serializers.FloatField(source="metrics.auc")
    members = serializers.IntegerField(source="metrics.members")
    created_at = serializers.DateTimeField()


class LookalikeSerializer(Plain):
    """Who is like the members of a segment: rules read `score`, .5 is as like them as the others.

    `reason`: why the newest run gave nothing that serves. `alike`: others who score at least .5.
    """

    run = LookalikeRunSerializer(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    model = LookalikeModelSerializer(allow_null=True)
    score = serializers.CharField(allow_blank=True)
    alike = serializers.IntegerField()
    scored_at = serializers.DateTimeField(allow_null=True)


class SizedSerializer(Plain):
    """A segment and how many are in it."""

    key = serializers.CharField()
    title = serializers.CharField()
    size = serializers.IntegerField()


class MatrixSerializer(Plain):
    """How many customers are in two segments at once; rows and columns as in `segments`.

    `margin`: how far off the least sure count may be, at 95 %; 0 when `exact`. `left_out`: smaller
    segments in force, beyond a hundred.
    """

    as_of = serializers.DateTimeField()
    exact = serializers.BooleanField()
    margin = serializers.IntegerField()
    left_out = serializers.IntegerField()
    segments = SizedSerializer(many=True)
    shared = serializers.ListField(child=serializers.ListField(child=serializers.IntegerField()))


class ListInputSerializer(Plain):
    """A static list: a file (one id a line, or CSV with a header), or `ids`. One of them."""

    key = serializers.CharField(max_length=60)
    title = serializers.CharField(max_length=200, required=False, allow_blank=True)
    replace = serializers.BooleanField(
        required=False, default=False, help_text="Who is not named leaves the list."
    )
    file = serializers.FileField(required=False)
    ids = serializers.ListField(child=serializers.CharField(), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse both, and neither."""
        if ("file" in attrs) == ("ids" in attrs):
            raise serializers.ValidationError({"file": "send either a file or ids"})
        return attrs


class UploadSerializer(Plain):
    """What became of the lines. `run`: the job that looks the rest up, where there are many."""

    key = serializers.CharField()
    lines = serializers.IntegerField()
    added = serializers.IntegerField()
    known = serializers.IntegerField()
    removed = serializers.IntegerField()
    bad = serializers.IntegerField()
    resolved = serializers.IntegerField()
    unresolved = serializers.IntegerField()
    run = serializers.IntegerField(allow_null=True)
    problems = RuleProblemSerializer(many=True)

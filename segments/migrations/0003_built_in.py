"""Segments out of the box, as drafts. A later change of them comes as another migration of this shape."""

from django.db import migrations
from django.utils import timezone

from segments.engine.builtin import BUILT_IN
from segments.engine.language import canonical


def add(apps, schema_editor):
    segments = apps.get_model("segments", "Segment").objects
    versions = apps.get_model("segments", "SegmentVersion").objects
    now = timezone.localtime()
    for one in BUILT_IN:
        row, made = segments.get_or_create(
            key=one.key,
            defaults={
                "title": one.title,
                "description": one.description,
                "built_in": True,
                "created_at": now,
                "updated_at": now,
            },
        )
        if made:
            versions.create(
                segment=row,
                number=1,
                rule=canonical(one.rule),
                status="draft",
                created_at=now,
                created_by="built in",
            )


def remove(apps, schema_editor):
    apps.get_model("segments", "Segment").objects.filter(built_in=True, published=None).delete()


class Migration(migrations.Migration):
    dependencies = [("segments", "0002_learning")]
    operations = [migrations.RunPython(add, remove)]

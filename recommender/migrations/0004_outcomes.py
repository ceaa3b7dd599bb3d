"""Outcomes of recommendations: what was shown, clicked and bought, and its daily figures."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('recommender', '0003_merchandising'),
    ]

    operations = [
        migrations.CreateModel(
            name='OutcomeGeneration',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('live', models.PositiveSmallIntegerField(default=1)),
            ],
        ),
        migrations.CreateModel(
            name='BoughtLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('generation', models.PositiveSmallIntegerField()),
                ('identity_id', models.BigIntegerField()),
                ('order_key', models.CharField(max_length=120)),
                ('item', models.CharField(max_length=100)),
                ('at_us', models.BigIntegerField()),
                ('value_minor', models.BigIntegerField(null=True)),
                ('click_id', models.BigIntegerField(null=True)),
                ('counted_minor', models.BigIntegerField(default=0)),
            ],
            options={
                'indexes': [models.Index(fields=['at_us'], name='recommender_boughtline_at_idx')],
                'constraints': [models.UniqueConstraint(fields=('generation', 'identity_id', 'item', 'order_key'), name='recommender_boughtline_once_uniq')],
            },
        ),
        migrations.CreateModel(
            name='ItemDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('generation', models.PositiveSmallIntegerField()),
                ('day', models.DateField()),
                ('item', models.CharField(max_length=100)),
                ('strategy', models.CharField(max_length=100)),
                ('placement', models.CharField(max_length=100)),
                ('shown', models.BigIntegerField(default=0)),
                ('clicked', models.BigIntegerField(default=0)),
                ('bought', models.BigIntegerField(default=0)),
                ('revenue_minor', models.BigIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'coverage of the catalogue',
                'verbose_name_plural': 'coverage of the catalogue',
                'indexes': [models.Index(fields=['item', 'day'], name='recommender_itemday_item_idx')],
                'constraints': [models.UniqueConstraint(fields=('generation', 'day', 'item', 'strategy', 'placement'), name='recommender_itemday_uniq')],
            },
        ),
        migrations.CreateModel(
            name='ShelfDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('generation', models.PositiveSmallIntegerField()),
                ('day', models.DateField()),
                ('strategy', models.CharField(max_length=100)),
                ('placement', models.CharField(max_length=100)),
                ('source', models.CharField(max_length=100)),
                ('position', models.PositiveSmallIntegerField()),
                ('shown', models.BigIntegerField(default=0)),
                ('clicked', models.BigIntegerField(default=0)),
                ('bought', models.BigIntegerField(default=0)),
                ('revenue_minor', models.BigIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'performance of recommendations',
                'verbose_name_plural': 'performance of recommendations',
                'constraints': [models.UniqueConstraint(fields=('generation', 'day', 'strategy', 'placement', 'source', 'position'), name='recommender_shelfday_uniq')],
            },
        ),
        migrations.CreateModel(
            name='ShownClick',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('generation', models.PositiveSmallIntegerField()),
                ('decision', models.UUIDField()),
                ('placement', models.CharField(max_length=100)),
                ('item', models.CharField(max_length=100)),
                ('identity_id', models.BigIntegerField()),
                ('at_us', models.BigIntegerField()),
                ('day', models.DateField()),
                ('strategy', models.CharField(blank=True, default='', max_length=100)),
                ('source', models.CharField(blank=True, default='', max_length=100)),
                ('position', models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                'indexes': [models.Index(fields=['identity_id', 'item'], name='recommender_shownclick_who_idx'), models.Index(fields=['day'], name='recommender_shownclick_day_idx')],
                'constraints': [models.UniqueConstraint(fields=('generation', 'decision', 'placement', 'item'), name='recommender_shownclick_once_uniq')],
            },
        ),
        migrations.CreateModel(
            name='ShownList',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('generation', models.PositiveSmallIntegerField()),
                ('decision', models.UUIDField()),
                ('placement', models.CharField(max_length=100)),
                ('strategy', models.CharField(max_length=100)),
                ('day', models.DateField()),
                ('identity_id', models.BigIntegerField()),
                ('items', models.JSONField()),
            ],
            options={
                'indexes': [models.Index(fields=['day'], name='recommender_shownlist_day_idx'), models.Index(fields=['identity_id'], name='recommender_shownlist_who_idx')],
                'constraints': [models.UniqueConstraint(fields=('generation', 'decision', 'placement'), name='recommender_shownlist_once_uniq')],
            },
        ),
    ]

"""The least that could be called an answer: what the real views are measured against."""

import orjson
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from psycopg2.extras import execute_values
from rest_framework.request import Request
from rest_framework.views import APIView

INSERT = """
INSERT INTO events_event (day, trust, message_id, epoch, shard, identity_id, type, name,
                          occurred_at, received_at, purposes, flags, properties, context)
VALUES %s ON CONFLICT DO NOTHING
"""
ANSWER_KEY = "bench:answer"
_pool: list[redis.Redis] = []


@csrf_exempt
def insert(request: HttpRequest) -> HttpResponse:
    """Insert ready-made rows of the event log: no validation, identity or consent."""
    rows = orjson.loads(request.body)
    with connection.cursor() as cursor:
        execute_values(cursor.cursor, INSERT, rows)
    return HttpResponse(b'{"success":true}', content_type="application/json")


def _answer(body: bytes) -> bytes:
    if not _pool:
        _pool.append(redis.Redis.from_url(settings.CACHE_REDIS_URL))
    orjson.loads(body)
    found = _pool[0].get(ANSWER_KEY)
    return found if isinstance(found, bytes) else b""


@csrf_exempt
def redis_get(request: HttpRequest) -> HttpResponse:
    """Answer the same bytes as decide does, from one pooled Redis GET, in a plain view."""
    return HttpResponse(_answer(request.body), content_type="application/json")


class RedisGet(APIView):
    """The same in a DRF view: the ceiling that decide is held against."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> HttpResponse:
        """Answer the stored bytes."""
        return HttpResponse(_answer(request.body), content_type="application/json")

"""The project's URLs plus the bare views that set the ceilings, in the same server."""

from django.urls import path

from bench import bare
from personalization.urls import urlpatterns as project

urlpatterns = [
    path("bare/insert", bare.insert),
    path("bare/drf", bare.RedisGet.as_view()),
    path("bare/plain", bare.redis_get),
    *project,
]

"""The project's URLs plus the bare views that set the ceilings, in the same server."""

from django.urls import path

from bench import bare
from personalization.urls import urlpatterns as project

urlpatterns = [
    path("v1/bare/insert", bare.insert),
    path("v1/bare/drf", bare.RedisGet.as_view()),
    path("v1/bare/plain", bare.redis_get),
    *project,
]

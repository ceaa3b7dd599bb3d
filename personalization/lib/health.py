"""`/healthz/live` and `/healthz/ready`, before any other middleware.

Probes come with any Host and without TLS: neither host checks nor redirects may stand before.
"""

from collections.abc import Callable

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from personalization.lib.registries import readiness

GetResponse = Callable[[HttpRequest], HttpResponse]


class HealthMiddleware:
    """Answers the two probes and lets everything else pass.

    Live: this process serves. Ready: it can accept events, so PostgreSQL answers and there is a
    configuration; Redis is a cache and does not count. What is wrong and no reason to send traffic
    elsewhere is told beside it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a probe or pass on."""
        if request.path_info == "/healthz/live":
            return JsonResponse({"live": True})
        if request.path_info == "/healthz/ready":
            return _readiness()
        return self._get_response(request)


def _readiness() -> HttpResponse:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:  # of the database, or of the connection (InterfaceError)
        connection.close()
        answer = JsonResponse({"ready": False, "postgres": "down"}, status=503)
        answer["Retry-After"] = "1"
        return answer
    told: dict[str, object] = {"ready": True}
    for name, look in readiness.items():
        able, wrong = look()
        told |= {name: wrong} if wrong else {}
        told["ready"] = told["ready"] and able
    return JsonResponse(told, status=200 if told["ready"] else 503)

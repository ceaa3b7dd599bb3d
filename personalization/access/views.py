"""`/admin/one-time/<token>/`: the one-time log-in link. The token is the permission."""

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from personalization.access.staff import redeem_login
from personalization.lib import clock


@never_cache
@require_GET
def one_time_login(request: HttpRequest, token: str) -> HttpResponse:
    """Log the link's owner in and go to the overview; say what to do when the link is spent."""
    user = redeem_login(token, now=clock.now())
    if user is None:
        return TemplateResponse(
            request, "admin/access/link_spent.html", {"title": "Link used up"}, status=404
        )
    # A new session: whatever the browser was before must not carry over.
    request.session.flush()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("admin:index")

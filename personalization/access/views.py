"""`/admin/one-time/<token>/`: the one-time log-in link. The token is the permission.

Mail scanners and chat previews open links before people do: looking uses nothing up.
"""

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from personalization.access.staff import login_holds, redeem_login
from personalization.lib import clock


@never_cache
@require_http_methods(["GET", "POST"])
def one_time_login(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button; pressed, log the link's owner in and go to the overview.

    A link that is spent says what to do.
    """
    now = clock.now()
    if request.method == "GET" and login_holds(token, now=now):
        return TemplateResponse(request, "admin/access/link_open.html", {"title": "Log in"})
    user = redeem_login(token, now=now) if request.method == "POST" else None
    if user is None:
        return TemplateResponse(
            request, "admin/access/link_spent.html", {"title": "Link used up"}, status=404
        )
    # A new session: whatever the browser was before must not carry over.
    request.session.flush()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("admin:index")

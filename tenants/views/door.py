"""Sign in, choose a company, and the company's own colour."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from tenants import queries
from tenants.models import Role
from tenants.pages import PageRequest
from tenants.permissions import ROLE_PERMISSIONS, Permission


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": _(
            "This e-mail and password do not belong together. Check both; passwords distinguish upper and lower case."
        ),
        "inactive": _("This account is switched off. Ask an owner of your company to switch it on."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.fields["username"].label = _("E-mail")
        for name, hint in (("username", "username"), ("password", "current-password")):
            self.fields[name].widget.attrs |= {"class": "form-control", "autocomplete": hint}
        self.fields["username"].widget.attrs |= {
            "type": "email",
            "inputmode": "email",
            "autocapitalize": "none",
        }

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).strip().lower()


class SignIn(LoginView):
    template_name = "tenants/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """To the only company at once, else a choice. `?choose` always shows the choice."""
    found = [
        (tenant, Role(role), first_page(tenant.slug, role))
        for tenant, role in queries.tenants_of(request.user.pk or 0)
    ]
    if len(found) == 1 and "choose" not in request.GET:
        return HttpResponseRedirect(found[0][2])
    return render(request, "tenants/choose.html", {"found": found})


def first_page(slug: str, role: str) -> str:
    """Where a role's day begins."""
    allowed = ROLE_PERMISSIONS[role]
    if Permission.STATION_VIEW in allowed:
        return reverse("overview", args=[slug])
    if Permission.SESSION_VIEW in allowed:
        return reverse("sessions", args=[slug])
    return reverse("me", args=[slug])


def theme(request: PageRequest) -> HttpResponse:
    """The tenant's accent as two tokens. On dark ground it is lightened until text on it and around it can be read."""
    accent = request.tenant.accent or "#1c2a33"
    light, dark = accent, _mixed(accent, 0.45) if _luminance(accent) < 0.35 else accent
    text = f":root{{--accent:light-dark({light},{dark});--accent-ink:light-dark({_on(light)},{_on(dark)})}}"
    response = HttpResponse(text, content_type="text/css")
    response["Cache-Control"] = "private, max-age=86400"
    return response


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""

    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mixed(colour: str, white: float) -> str:
    return "#" + "".join(f"{round(part + (255 - part) * white):02x}" for part in _channels(colour))


def _on(colour: str) -> str:
    """White or ink, whichever stands out more on the colour."""
    ground = _luminance(colour)
    return "#ffffff" if 1.05 / (ground + 0.05) >= (ground + 0.05) / 0.058 else "#12181c"

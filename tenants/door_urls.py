"""Addresses outside any tenant: sign in, sign out, choose a company, choose a language."""

from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.i18n import set_language

from tenants.views import door

urlpatterns = [
    path("", door.home, name="home"),
    path("login/", door.SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("language/", set_language, name="language"),
]

"""Pages of load management. Below /t/<tenant>/."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

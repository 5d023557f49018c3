"""REST of load management. Below /api/v1/."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

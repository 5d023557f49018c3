"""Pages of tariffs. Below /t/<tenant>/."""

from django.urls import path

from billing.views import tariffs

urlpatterns = [
    path("tariffs/", tariffs.tariffs, name="tariffs"),
    path("tariffs/new/", tariffs.new, name="tariff-new"),
    path("tariffs/preview/", tariffs.preview, name="tariff-preview"),
    path("tariffs/<int:tariff_id>/", tariffs.tariff, name="tariff"),
    path("tariffs/<int:tariff_id>/edit/", tariffs.edit, name="tariff-edit"),
    path("tariffs/<int:tariff_id>/default/", tariffs.make_default, name="tariff-default"),
    path("tariffs/<int:tariff_id>/sites/", tariffs.sites, name="tariff-sites"),
    path("tariffs/<int:tariff_id>/archive/", tariffs.archive, name="tariff-archive"),
]

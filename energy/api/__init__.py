"""REST of load management. Below /api/v1/."""

from django.urls import URLPattern, path

from energy.api.meters import AllMeterReadings, MeterReadings, MeterReadingsCsv, SiteMeterOne, SiteMeters
from energy.api.tree import SiteGrid, SiteGridCheck, SiteGridPolicy, SiteGridSteering

urlpatterns: list[URLPattern] = [
    path("sites/<int:site_id>/grid", SiteGrid.as_view()),
    path("sites/<int:site_id>/grid/check", SiteGridCheck.as_view()),
    path("sites/<int:site_id>/grid/policy", SiteGridPolicy.as_view()),
    path("sites/<int:site_id>/grid/steering", SiteGridSteering.as_view()),
    path("meter-readings", AllMeterReadings.as_view(), name="all-meter-readings"),
    path("sites/<int:site_id>/meters", SiteMeters.as_view(), name="site-meters"),
    path("sites/<int:site_id>/meters/<int:meter_id>", SiteMeterOne.as_view(), name="site-meter"),
    path(
        "sites/<int:site_id>/meters/<int:meter_id>/readings", MeterReadings.as_view(), name="meter-readings"
    ),
    path(
        "sites/<int:site_id>/meters/<int:meter_id>/readings.csv",
        MeterReadingsCsv.as_view(),
        name="meter-readings-csv",
    ),
]

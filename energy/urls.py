"""Pages of load management. Below /t/<tenant>/."""

from django.urls import URLPattern, path

from energy.views import meters

urlpatterns: list[URLPattern] = [
    path("sites/<int:site_id>/meters/", meters.site_meters, name="site-meters"),
    path("sites/<int:site_id>/meters/new/", meters.new_meter, name="site-meter-new"),
    path("sites/<int:site_id>/meters/try/", meters.try_meter, name="site-meter-try"),
    path("sites/<int:site_id>/meters/<int:meter_id>/", meters.site_meter, name="site-meter"),
    path("sites/<int:site_id>/meters/<int:meter_id>/remove/", meters.remove, name="site-meter-remove"),
]

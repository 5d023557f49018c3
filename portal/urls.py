"""Pages that read several apps. Below /t/<tenant>/."""

from django.urls import path

from portal.views import constraints, me, overview, reserve, search, sites

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("overview/now/", overview.now, name="overview-now"),
    path("overview/power.json", overview.power, name="overview-power"),
    path("map.json", sites.map_data, name="map"),
    path("sites/", sites.sites, name="sites"),
    path("sites/<int:site_id>/", sites.site, name="site"),
    path("sites/<int:site_id>/now/", sites.site_now, name="site-now"),
    path("sites/<int:site_id>/power.json", sites.site_power, name="site-power"),
    path("sites/<int:site_id>/limits/", constraints.site_constraints, name="site-constraints"),
    path("sites/<int:site_id>/limits/<int:constraint_id>/clear/", constraints.clear, name="constraint-clear"),
    path("search/", search.search, name="search"),
    path("me/", me.me, name="me"),
    path("me/charging/<int:running_id>/wish/", me.say_wish, name="me-wish"),
    path("me/reserve/", reserve.reserve, name="me-reserve"),
    path("me/reserve/new/", reserve.create, name="me-reserve-new"),
    path("me/reserve/<int:reservation_id>/cancel/", reserve.cancel, name="me-reserve-cancel"),
]

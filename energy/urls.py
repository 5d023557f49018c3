"""Pages of load management. Below /t/<tenant>/."""

from django.urls import path

from energy.views import live, whatif

urlpatterns = [
    path("sites/<int:site_id>/load/", live.load, name="site-load"),
    path("sites/<int:site_id>/load/now/", live.load_now, name="site-load-now"),
    path("sites/<int:site_id>/load/day.json", live.day_chart, name="site-load-day"),
    path("sites/<int:site_id>/load/plan.json", live.plan_chart, name="site-load-plan"),
    path("sites/<int:site_id>/what-if/", whatif.what_ifs, name="site-what-ifs"),
    path("sites/<int:site_id>/what-if/<int:what_if_id>/", whatif.what_if, name="site-what-if"),
    path("sites/<int:site_id>/what-if/<int:what_if_id>/chart.json", whatif.chart, name="site-what-if-chart"),
    path("sites/<int:site_id>/what-if/<int:what_if_id>/quarters.csv", whatif.download, name="site-what-if-csv"),
    path(
        "sites/<int:site_id>/what-if/<int:what_if_id>/sessions.csv", whatif.download_sessions,
        name="site-what-if-sessions",
    ),
    path("sites/<int:site_id>/what-if/<int:what_if_id>/delete/", whatif.delete, name="site-what-if-delete"),
]  # fmt: skip

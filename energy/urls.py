"""Pages of load management. Below /t/<tenant>/."""

from django.urls import URLPattern, path

from energy.views import live, meters, tree, tree_policy, whatif

urlpatterns: list[URLPattern] = [
    path("sites/<int:site_id>/grid/", tree.site_grid, name="site-grid"),
    path("sites/<int:site_id>/grid/draft/", tree.draft, name="site-grid-draft"),
    path("sites/<int:site_id>/grid/import/", tree.take_in, name="site-grid-import"),
    path("sites/<int:site_id>/grid/export.json", tree.export, name="site-grid-export"),
    path("sites/<int:site_id>/grid/set-up/", tree.set_up, name="site-grid-set-up"),
    path("sites/<int:site_id>/grid/policy/", tree_policy.site_policy, name="site-grid-policy"),
    path("sites/<int:site_id>/grid/undo/", tree.undo, name="site-grid-undo"),
    path("sites/<int:site_id>/grid/switch/", tree.switch, name="site-grid-switch"),
    path("sites/<int:site_id>/meters/", meters.site_meters, name="site-meters"),
    path("sites/<int:site_id>/meters/new/", meters.new_meter, name="site-meter-new"),
    path("sites/<int:site_id>/meters/try/", meters.try_meter, name="site-meter-try"),
    path("sites/<int:site_id>/meters/<int:meter_id>/", meters.site_meter, name="site-meter"),
    path("sites/<int:site_id>/meters/<int:meter_id>/remove/", meters.remove, name="site-meter-remove"),
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

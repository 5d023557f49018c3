"""Pages of tokens, drivers and fleets. Below /t/<tenant>/."""

from django.urls import path

from fleets.views import drivers, fleets, tokens

urlpatterns = [
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/new/", tokens.new, name="token-new"),
    path("tokens/import/", tokens.import_csv, name="token-import"),
    path("tokens/<int:token_id>/", tokens.token, name="token"),
    path("tokens/<int:token_id>/block/", tokens.block, name="token-block"),
    path("tokens/<int:token_id>/delete/", tokens.delete, name="token-delete"),
    path("drivers/", drivers.drivers, name="drivers"),
    path("drivers/new/", drivers.new, name="driver-new"),
    path("drivers/<int:driver_id>/", drivers.driver, name="driver"),
    path("drivers/<int:driver_id>/delete/", drivers.delete, name="driver-delete"),
    path("fleets/new/", fleets.new, name="fleet-new"),
    path("fleets/<int:fleet_id>/", fleets.fleet, name="fleet"),
    path("fleets/<int:fleet_id>/managers/", fleets.managers, name="fleet-managers"),
    path("fleets/<int:fleet_id>/delete/", fleets.delete, name="fleet-delete"),
]

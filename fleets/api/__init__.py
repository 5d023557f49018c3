"""REST of those who charge: tokens, drivers, fleets, vehicles."""

from django.urls import path

from fleets.api.autocharge import AutochargeOne, SiteAutocharge
from fleets.api.drivers import DriverList, DriverOne
from fleets.api.fleets import FleetList, FleetOne
from fleets.api.tokens import TokenBlock, TokenBulk, TokenImport, TokenList, TokenOne, TokenUnblock
from fleets.api.vehicles import VehicleList, VehicleOne

urlpatterns = [
    path("tokens", TokenList.as_view(), name="tokens"),
    path("tokens/bulk", TokenBulk.as_view(), name="tokens-bulk"),
    path("tokens/import", TokenImport.as_view(), name="tokens-import"),
    path("tokens/<int:token_id>", TokenOne.as_view(), name="token"),
    path("tokens/<int:token_id>/block", TokenBlock.as_view(), name="token-block"),
    path("tokens/<int:token_id>/unblock", TokenUnblock.as_view(), name="token-unblock"),
    path("autocharge", AutochargeOne.as_view(), name="autocharge"),
    path("sites/<int:site_id>/autocharge", SiteAutocharge.as_view(), name="site-autocharge"),
    path("drivers", DriverList.as_view(), name="drivers"),
    path("drivers/<int:driver_id>", DriverOne.as_view(), name="driver"),
    path("fleets", FleetList.as_view(), name="fleets"),
    path("fleets/<int:fleet_id>", FleetOne.as_view(), name="fleet"),
    path("vehicles", VehicleList.as_view(), name="vehicles"),
    path("vehicles/<int:vehicle_id>", VehicleOne.as_view(), name="vehicle"),
]

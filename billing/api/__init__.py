"""REST of money: tariffs, what a site uses, what was charged."""

from django.urls import path

from billing.api.charges import ChargeList, ChargeOne, ChargeVoid
from billing.api.tariffs import SiteTariffOne, TariffDefault, TariffList, TariffOne, TariffPreview

urlpatterns = [
    path("tariffs", TariffList.as_view(), name="tariffs"),
    path("tariffs/<int:tariff_id>", TariffOne.as_view(), name="tariff"),
    path("tariffs/<int:tariff_id>/default", TariffDefault.as_view(), name="tariff-default"),
    path("tariffs/<int:tariff_id>/preview", TariffPreview.as_view(), name="tariff-preview"),
    path("sites/<int:site_id>/tariff", SiteTariffOne.as_view(), name="site-tariff"),
    path("charges", ChargeList.as_view(), name="charges"),
    path("charges/<int:charge_id>", ChargeOne.as_view(), name="charge"),
    path("charges/<int:charge_id>/void", ChargeVoid.as_view(), name="charge-void"),
]

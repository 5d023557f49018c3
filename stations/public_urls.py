"""Pages for drivers without an account. Below /pay/."""

from django.urls import path

from stations.views import pay

urlpatterns = [
    path("<slug:slug>/p/<str:key>/", pay.pay, name="pay"),
    path("<slug:slug>/r/<str:key>/", pay.receipt, name="receipt"),
    path("<slug:slug>/<str:identity>/<int:evse>/<str:code>/", pay.start, name="pay-start"),
]

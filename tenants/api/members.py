"""Members: people, their role here and the sites it is limited to."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import queries
from tenants.models import Membership, Role, Site
from tenants.permissions import Permission
from tenants.rest import Filters, In, Out, TenantView, Verb
from tenants.services import members


class MemberOut(Out):
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")
    site_ids = serializers.SerializerMethodField()

    class Meta:
        model = Membership
        fields = ["id", "email", "name", "role", "active", "site_ids", "created_at"]

    def get_site_ids(self, member: Membership) -> list[int]:
        return sorted(row.site_id for row in member.sites.all())


class MemberIn(In):
    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(max_length=120, allow_blank=True, required=False)
    password = serializers.CharField(max_length=200, allow_blank=True, required=False, trim_whitespace=False)
    role = serializers.ChoiceField(Role.choices)
    site_ids = serializers.ListField(child=serializers.IntegerField(), max_length=500, required=False)


class MemberChange(In):
    role = serializers.ChoiceField(Role.choices)
    active = serializers.BooleanField()
    site_ids = serializers.ListField(child=serializers.IntegerField(), max_length=500)


class MemberFilter(Filters):
    role = django_filters.ChoiceFilter(choices=Role.choices)
    active = django_filters.BooleanFilter()


class MemberView(TenantView):
    def rows(self) -> QuerySet[Membership]:
        rows = Membership.objects.filter(tenant_id=self.tenant_id)
        return rows.select_related("user").prefetch_related("sites")

    def sites(self, numbers: list[int]) -> list[Site]:
        return self.rows_for("site_ids", numbers, queries.sites(self.tenant_id, self.actor))


class MemberList(MemberView):
    """People who may use this company's portal."""

    verbs = {
        "GET": Verb(Permission.MEMBER_VIEW, gives=MemberOut, many=True, says="List members"),
        "POST": Verb(
            Permission.MEMBER_EDIT, takes=MemberIn, gives=MemberOut, status=201, says="Add a member"
        ),
    }
    filterset_class = MemberFilter

    def get(self, request: Request) -> Response:
        return self.page()

    def post(self, request: Request) -> Response:
        given: dict[str, Any] = self.given()
        sites = self.sites(given.pop("site_ids", []))
        return self.answer(
            members.add_member(tenant_id=self.tenant_id, actor=self.actor, sites=sites, **given)
        )


class MemberOne(MemberView):
    """One member."""

    verbs = {
        "GET": Verb(Permission.MEMBER_VIEW, gives=MemberOut, says="Read a member"),
        "PATCH": Verb(
            Permission.MEMBER_EDIT, takes=MemberChange, gives=MemberOut, says="Change role, sites or access"
        ),
    }

    def get(self, request: Request, member_id: int) -> Response:
        return self.answer(self.one(self.rows(), pk=member_id))

    def patch(self, request: Request, member_id: int) -> Response:
        member = self.one(self.rows(), pk=member_id)
        given = self.given()
        ids = given.get("site_ids", [row.site_id for row in member.sites.all()])
        members.change_member(
            member=member,
            actor=self.actor,
            role=given.get("role", member.role),
            active=given.get("active", member.active),
            sites=self.sites(ids),
        )
        return self.answer(self.one(self.rows(), pk=member_id))

"""How a site hangs on the grid: its connection, the tree of what limits below it, and where each EVSE is wired."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from stations.models import Evse
from tenants.fields import TenantForeignKey
from tenants.models import Site, TenantModel


class SupplyKind(models.TextChoices):
    THREE_PHASE = "three_phase", _("Three phases, 230/400 V")
    WYE_208 = "wye_208", _("Three phases, 120/208 V")
    SPLIT_PHASE = "split_phase", _("Split phase, 120/240 V")
    SINGLE_PHASE = "single_phase", _("One phase, 230 V")


class GridConnection(TenantModel):
    """Of one site. `steers`: load management is on. `revision` grows with each change of the tree, its meters or its
    policy: who steers builds anew."""

    site = TenantForeignKey(Site, on_delete=models.CASCADE, related_name="+", db_index=False)
    supply = models.CharField(
        _("supply"), max_length=12, choices=SupplyKind.choices, default=SupplyKind.THREE_PHASE
    )
    # Of what is not charging, on each line: counted where no meter tells of it, or while that one is silent.
    building_most_a = models.FloatField(_("most that the building takes (A per line)"), default=0)
    steers = models.BooleanField(_("load management"), default=False)
    policy = models.JSONField(default=dict)  # energy.policy.Policies.as_json
    revision = models.BigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["site", "tenant"], name="grid_connection_once")]

    def __str__(self) -> str:
        return str(self.site)


class NodeKind(models.TextChoices):
    CONNECTION = "connection", _("Grid connection")
    PANEL = "panel", _("Panel")
    CIRCUIT = "circuit", _("Circuit")
    STATION = "station", _("Station")
    CABINET = "cabinet", _("Power cabinet")


class LimitOrigin(models.TextChoices):
    FUSE = "fuse", _("Fuse or breaker")
    CONTRACT = "contract", _("Contract")
    RATING = "rating", _("Rating of the equipment")


class GridNode(TenantModel):
    """A point of the tree that limits (energy.grid.Node). The root has no parent.

    `limit_a`: A on each of its own lines, or none. `rotation`: to which lines of its parent its own L1, L2, L3 go, such
    as [1, 2, 0]; empty: straight. `module_w`: of a cabinet that gives power to its outlets in whole modules.
    """

    connection = TenantForeignKey(
        GridConnection, on_delete=models.CASCADE, related_name="nodes", db_index=False
    )
    parent = TenantForeignKey(
        "self", null=True, on_delete=models.CASCADE, related_name="children", db_index=False
    )
    kind = models.CharField(max_length=10, choices=NodeKind.choices, default=NodeKind.PANEL)
    name = models.CharField(_("name"), max_length=80)
    position = models.PositiveIntegerField(default=0)
    limit_a = ArrayField(models.FloatField(), null=True)
    limit_w = models.FloatField(null=True)
    origin = models.CharField(max_length=8, choices=LimitOrigin.choices, default=LimitOrigin.FUSE)
    rotation = ArrayField(models.PositiveSmallIntegerField(), default=list)
    module_w = models.FloatField(null=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "name", "tenant"], name="grid_node_name_once")
        ]
        indexes = [models.Index(fields=["parent"], name="grid_node_parent")]

    def __str__(self) -> str:
        return self.name


class Outlet(TenantModel):
    """Where an EVSE is wired (energy.grid.Leaf).

    `lines`: of its node, in the order of its own phases, such as [0, 1, 2]; `between`: it stands between two of them.
    What is None follows from its connectors. `priority`: higher goes first when not all can have the minimum.
    """

    connection = TenantForeignKey(
        GridConnection, on_delete=models.CASCADE, related_name="outlets", db_index=False
    )
    node = TenantForeignKey(GridNode, on_delete=models.CASCADE, related_name="outlets", db_index=False)
    evse = TenantForeignKey(Evse, on_delete=models.CASCADE, related_name="+", db_index=False)
    lines = ArrayField(models.PositiveSmallIntegerField())
    between = models.BooleanField(default=False)
    max_a = models.FloatField(null=True)
    min_a = models.FloatField(null=True)
    step_a = models.FloatField(null=True)
    guaranteed_a = models.FloatField(default=0)  # what a car that charges here has at least
    priority = models.SmallIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["evse", "tenant"], name="outlet_once")]
        indexes = [
            models.Index(fields=["connection"], name="outlet_connection"),
            models.Index(fields=["node"], name="outlet_node"),
        ]

    def __str__(self) -> str:
        return f"{self.evse.station} {self.evse.number}"


class LimitWindow(TenantModel):
    """A lower limit of a node at certain times: by contract, or where power is dear (site's wall clock).

    `weekdays`: 0 is Monday; empty: all. A window that ends before it begins goes past midnight.
    """

    node = TenantForeignKey(GridNode, on_delete=models.CASCADE, related_name="windows", db_index=False)
    weekdays = ArrayField(models.PositiveSmallIntegerField(), default=list)
    begins = models.TimeField()
    ends = models.TimeField()
    first_day = models.DateField(null=True)
    last_day = models.DateField(null=True)
    limit_a = models.FloatField(null=True)  # on each line
    limit_w = models.FloatField(null=True)
    label = models.CharField(max_length=80, blank=True)

    class Meta:
        ordering = ["begins", "id"]
        indexes = [models.Index(fields=["node"], name="limit_window_node")]

    def __str__(self) -> str:
        return self.label or f"{self.begins:%H:%M} - {self.ends:%H:%M}"

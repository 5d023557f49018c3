"""Celery executes; rows are the list of work. Every task here sweeps rows and is safe to run twice."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cpo.settings")

app = Celery("voltyard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    beat_max_loop_interval=5,
    timezone="UTC",
)
app.autodiscover_tasks()
# task: seconds between its runs. A run that found no worker before the next is due is dropped.
SCHEDULE = {
    "tenants.tasks.dispatch_facts": 1,
    "tenants.tasks.deliver_webhooks": 2,
    "tenants.tasks.purge": 3600,
    "stations.tasks.rate_ended": 2,
    "stations.tasks.guard_sessions": 60,
    "stations.tasks.forget_vehicles": 3600,
    "stations.tasks.expire_commands": 5,
    "stations.tasks.sync_lists": 2,
    "stations.tasks.keep_reservations": 5,
    "stations.tasks.take_offline_orphans": 10,
    "stations.tasks.advance_firmware": 3,
    "stations.tasks.give_up_logs": 15,
    "stations.tasks.drop_files": 3600,
    "stations.tasks.tell_costs": 10,
    "stations.tasks.tend_payments": 5,
    "stations.tasks.sync_tariffs": 30,
    "stations.tasks.expire_displays": 60,
    "stations.tasks.watch_signals": 10,
    "stations.tasks.mail_escalations": 15,
    "stations.tasks.compute_uptime": 300,
    "stations.tasks.report_uptime": 3600,
    "stations.tasks.end_profiles": 30,
    "stations.tasks.advance_security": 10,
    "stations.tasks.renew_certificates": 900,
    "stations.tasks.ensure_partitions": 3600,
    "stations.tasks.drop_frames": 3600,
    "stations.tasks.follow_configuration": 10,
    "stations.tasks.apply_templates": 2,
    "stations.tasks.trim_configuration": 3600,
    "energy.tasks.take_back_profiles": 30,
    "energy.tasks.learn_nights": 900,
    "energy.tasks.trim_orders": 600,
    "energy.tasks.trim_samples": 3600,
    "energy.tasks.run_what_ifs": 2,
}
app.conf.beat_schedule = {
    task: {"task": task, "schedule": float(seconds), "options": {"expires": seconds}}
    for task, seconds in SCHEDULE.items()
}

from django.db import migrations

# The applier looks five times a second for what follows its cursor. A BRIN costs less to write, but what it has not
# summarised yet (a minute, at worst more) is read whole at every look.
FORWARD = """
DROP INDEX stations_frame_journal;
CREATE INDEX stations_frame_journal ON stations_frame (tenant_id, gateway, id) WHERE apply;
"""
BACKWARD = """
DROP INDEX stations_frame_journal;
CREATE INDEX stations_frame_journal ON stations_frame USING brin (id) WITH (pages_per_range = 16, autosummarize = on);
"""


class Migration(migrations.Migration):
    dependencies = [("stations", "0004_orphans_applied")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("stations", "0006_central_system")]

    operations = [
        migrations.AddField(
            model_name="connector",
            name="status_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
        # Of all companies at once, which row security denies even to the owner.
        migrations.RunSQL(
            """
            ALTER TABLE stations_connector NO FORCE ROW LEVEL SECURITY;
            UPDATE stations_connector SET status_since = status_received_at;
            ALTER TABLE stations_connector FORCE ROW LEVEL SECURITY;
            """,
            migrations.RunSQL.noop,
        ),
    ]

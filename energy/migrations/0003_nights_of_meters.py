import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("energy", "0002_whatif")]

    operations = [
        migrations.AddField(
            model_name="sitemeter",
            name="night_a",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.FloatField(), default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="sitemeter", name="night_at", field=models.DateTimeField(null=True)
        ),
    ]

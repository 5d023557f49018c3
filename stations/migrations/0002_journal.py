from django.db import migrations

# Native range partitions: frames by day of receipt (dropped by partition), readings by month of the sanitised
# sample time. Each has a default partition, so that nothing is ever refused for its time.
# Rows that change all the time get room beside them: an update within the page touches no index.
FORWARD = """
CREATE SEQUENCE stations_transaction_number AS integer MINVALUE 1 CYCLE;
CREATE SEQUENCE stations_frame_id;
CREATE TABLE stations_frame (
    id bigint NOT NULL, tenant_id bigint NOT NULL, station_id bigint NOT NULL,
    received_at timestamptz NOT NULL, gateway varchar(64) NOT NULL, outbound boolean NOT NULL,
    message_type smallint NOT NULL, message_id varchar(64) NOT NULL, action varchar(64) NOT NULL,
    ocpp_version varchar(8) NOT NULL, apply boolean NOT NULL, payload text NOT NULL,
    reply_type smallint, reply text
) PARTITION BY RANGE (received_at);
CREATE TABLE stations_frame_default PARTITION OF stations_frame DEFAULT;
CREATE INDEX stations_frame_station ON stations_frame (tenant_id, station_id, id);
CREATE INDEX stations_frame_journal ON stations_frame USING brin (id) WITH (pages_per_range = 16, autosummarize = on);
CREATE SEQUENCE stations_reading_id;
CREATE TABLE stations_reading (
    id bigint NOT NULL DEFAULT nextval('stations_reading_id'), tenant_id bigint NOT NULL, station_id bigint NOT NULL,
    evse_number smallint NOT NULL, session_id bigint, sampled_at timestamptz NOT NULL,
    raw_timestamp varchar(64) NOT NULL, received_at timestamptz NOT NULL, context varchar(24) NOT NULL,
    digest varchar(32) NOT NULL, energy_wh numeric(16, 3), power_w double precision, current_a double precision,
    voltage_v double precision, soc_percent double precision, offered_w double precision,
    values jsonb NOT NULL, flags jsonb NOT NULL DEFAULT '[]',
    CONSTRAINT stations_reading_natural UNIQUE (tenant_id, station_id, evse_number, sampled_at, digest)
) PARTITION BY RANGE (sampled_at);
CREATE TABLE stations_reading_default PARTITION OF stations_reading DEFAULT;
CREATE INDEX stations_reading_time ON stations_reading USING brin (sampled_at);
ALTER SEQUENCE stations_reading_id OWNED BY stations_reading.id;
ALTER TABLE stations_session SET (fillfactor = 50);
ALTER TABLE stations_connector SET (fillfactor = 50);
ALTER TABLE stations_station SET (fillfactor = 50);
"""
BACKWARD = """
DROP TABLE stations_reading; DROP TABLE stations_frame; DROP SEQUENCE stations_frame_id;
DROP SEQUENCE stations_transaction_number;
"""


class Migration(migrations.Migration):
    dependencies = [("stations", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

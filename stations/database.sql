-- What the gateway may do before, or without, entering a tenant.

GRANT SELECT ON tenants_tenant, stations_station, stations_command, stations_journalhead, stations_journalcursor,
    stations_fileticket TO $prefix_resolver;
GRANT SELECT (id, tenant_id, kind, use, pem, fingerprint, not_after) ON stations_authority TO $prefix_resolver;
GRANT SELECT, UPDATE (last_seen_at, online, gateway, online_changed_at) ON stations_station TO $prefix_ingest;
GRANT SELECT, INSERT ON stations_frame TO $prefix_ingest;
GRANT SELECT, INSERT, UPDATE ON stations_journalhead TO $prefix_ingest;
GRANT SELECT ON stations_journalcursor TO $prefix_ingest;
GRANT USAGE ON SEQUENCE stations_frame_id, stations_journalhead_id_seq TO $prefix_ingest;

DO $$
DECLARE
    entry record;
BEGIN
    FOR entry IN SELECT * FROM (VALUES
        ('stations_station', 'resolver', 'SELECT'), ('stations_fileticket', 'resolver', 'SELECT'), ('stations_command', 'resolver', 'SELECT'),
        ('stations_journalhead', 'resolver', 'SELECT'), ('stations_journalcursor', 'resolver', 'SELECT'),
        ('stations_authority', 'resolver', 'SELECT'),
        ('stations_station', 'ingest', 'ALL'), ('stations_frame', 'ingest', 'ALL'),
        ('stations_journalhead', 'ingest', 'ALL'), ('stations_journalcursor', 'ingest', 'SELECT')) AS list(tbl, role, verb)
    LOOP
        EXECUTE format('DROP POLICY IF EXISTS %I ON %I', entry.role, entry.tbl);
        EXECUTE format('CREATE POLICY %I ON %I FOR %s TO %I USING (true)', entry.role, entry.tbl, entry.verb,
                       '$prefix_' || entry.role);
    END LOOP;
END $$;

-- Stations by what they say in their URL: [[tenant slug, identity], ...]; `place` is the position in the list.
DROP FUNCTION IF EXISTS stations_find(json);
CREATE OR REPLACE FUNCTION stations_find(wanted json)
RETURNS TABLE (place bigint, tenant_id bigint, station_id bigint, site_id bigint, password_hash varchar,
               allow_unauthenticated boolean, strict boolean, registration varchar, security_profile smallint,
               highest_profile smallint, effective_profile smallint, next_password_hash varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT w.place, t.id, s.id, s.site_id, s.password_hash, s.allow_unauthenticated, s.strict, s.registration,
           s.security_profile, s.highest_profile, s.effective_profile, s.next_password_hash
    FROM json_array_elements(wanted) WITH ORDINALITY AS w (pair, place)
    JOIN tenants_tenant t ON t.slug = w.pair->>0 AND NOT t.suspended
    LEFT JOIN stations_station s ON s.tenant_id = t.id AND s.identity = w.pair->>1 AND s.archived_at IS NULL
$$;

-- Certificates (nothing secret) of all authorities, for a TLS handshake: it comes before the station's name. First those
-- that we made, then those whose key is here; of the others nobody has proved whose they are.
CREATE OR REPLACE FUNCTION stations_authorities_trusted() RETURNS TABLE (tenant_id bigint, pem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT a.tenant_id, a.pem FROM stations_authority a JOIN tenants_tenant t ON t.id = a.tenant_id AND NOT t.suspended
    WHERE a.use = 'station' AND a.kind <> 'root' AND a.not_after > now()
    ORDER BY array_position(ARRAY['issuing', 'delegated', 'external'], a.kind::text), a.id
$$;

-- Whose authority has this fingerprint: revocation lists are public and come without a tenant's name. Others may have
-- entered its certificate as well, without the key that signs the list.
CREATE OR REPLACE FUNCTION stations_authority_find(wanted text) RETURNS TABLE (tenant_id bigint, id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT a.tenant_id, a.id FROM stations_authority a WHERE a.fingerprint = wanted
    ORDER BY a.kind = 'external', a.id LIMIT 1
$$;

-- Commands that wait for a station whose newest socket a gateway holds: the fallback when a NOTIFY was lost.
CREATE OR REPLACE FUNCTION stations_waiting_commands(wanted_gateway text)
RETURNS TABLE (tenant_id bigint, station_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT DISTINCT c.tenant_id, c.station_id
    FROM stations_command c JOIN stations_station s ON s.tenant_id = c.tenant_id AND s.id = c.station_id
    WHERE c.state = 'queued' AND s.gateway = wanted_gateway
$$;

-- Frames of many tenants in one statement; see `Link._row` for the members of a row. Ids ascend in the order given.
-- A recordset, for `->>` reads the row's JSON anew for every column: half of this function's cost, once.
CREATE OR REPLACE FUNCTION stations_ingest_frames(from_gateway text, batch json) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    WITH stored AS (
        INSERT INTO stations_frame (id, tenant_id, station_id, received_at, gateway, outbound, message_type,
                                    message_id, action, ocpp_version, apply, payload, reply_type, reply)
        SELECT nextval('stations_frame_id'), tenant, station, to_timestamp(at), from_gateway, outbound, type, id,
               action, version, apply, payload, reply_type, reply
        FROM json_to_recordset(batch) AS row (
            tenant bigint, station bigint, at double precision, outbound boolean, type smallint, id text, action text,
            version text, apply boolean, payload text, reply_type smallint, reply text)
        RETURNING stations_frame.tenant_id, stations_frame.id, stations_frame.apply
    )
    INSERT INTO stations_journalhead (tenant_id, gateway, last_id)
    SELECT stored.tenant_id, from_gateway, max(stored.id) FROM stored WHERE stored.apply GROUP BY stored.tenant_id
    ON CONFLICT (tenant_id, gateway) DO UPDATE SET last_id = excluded.last_id;
END $$;

-- [[tenant, station, seconds since 1970, epoch], ...]: when stations were last heard by the holder of their socket.
DROP FUNCTION IF EXISTS stations_seen(json);
CREATE OR REPLACE FUNCTION stations_seen(from_gateway text, batch json) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE stations_station s SET last_seen_at = to_timestamp((row->>2)::double precision), online = true,
        gateway = from_gateway, online_changed_at = CASE WHEN s.online THEN s.online_changed_at ELSE now() END
    FROM json_array_elements(batch) AS row
    WHERE s.tenant_id = (row->>0)::bigint AND s.id = (row->>1)::bigint AND s.epoch = (row->>3)::bigint
$$;

-- Stations whose newest socket a gateway is believed to hold.
CREATE OR REPLACE FUNCTION stations_held_by(wanted_gateway text)
RETURNS TABLE (tenant_id bigint, station_id bigint, epoch bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT s.tenant_id, s.id, s.epoch FROM stations_station s WHERE s.online AND s.gateway = wanted_gateway
$$;

-- Stations with a socket on a gateway whose tenant was suspended since.
CREATE OR REPLACE FUNCTION stations_unwelcome(wanted_gateway text) RETURNS TABLE (station_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT s.id FROM tenants_tenant t JOIN stations_station s ON s.tenant_id = t.id
    WHERE t.suspended AND s.online AND s.gateway = wanted_gateway
$$;

-- The leave to move a file, by the hash of the secret in its address, as long as its tenant and its time last.
CREATE OR REPLACE FUNCTION stations_file_ticket(wanted text) RETURNS TABLE (tenant_id bigint, ticket_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT f.tenant_id, f.id FROM stations_fileticket f
    JOIN tenants_tenant t ON t.id = f.tenant_id AND NOT t.suspended
    JOIN stations_station s ON s.tenant_id = f.tenant_id AND s.id = f.station_id AND s.archived_at IS NULL
    WHERE f.token_hash = wanted AND f.expires_at > now()
$$;

-- Tenants and gateways whose journal has frames that wait to be applied.
CREATE OR REPLACE FUNCTION stations_journal_waiting()
RETURNS TABLE (tenant_id bigint, gateway varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT h.tenant_id, h.gateway FROM stations_journalhead h
    LEFT JOIN stations_journalcursor c ON c.tenant_id = h.tenant_id AND c.gateway = h.gateway
    WHERE h.last_id > coalesce(c.applied_id, 0)
$$;

ALTER FUNCTION stations_find(json) OWNER TO $prefix_resolver;
ALTER FUNCTION stations_authorities_trusted() OWNER TO $prefix_resolver;
ALTER FUNCTION stations_authority_find(text) OWNER TO $prefix_resolver;
ALTER FUNCTION stations_file_ticket(text) OWNER TO $prefix_resolver;
ALTER FUNCTION stations_waiting_commands(text) OWNER TO $prefix_resolver;
ALTER FUNCTION stations_held_by(text) OWNER TO $prefix_resolver;
ALTER FUNCTION stations_unwelcome(text) OWNER TO $prefix_resolver;
ALTER FUNCTION stations_journal_waiting() OWNER TO $prefix_resolver;
ALTER FUNCTION stations_ingest_frames(text, json) OWNER TO $prefix_ingest;
ALTER FUNCTION stations_seen(text, json) OWNER TO $prefix_ingest;
REVOKE ALL ON FUNCTION stations_authorities_trusted(), stations_authority_find(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stations_authorities_trusted() TO $prefix_gateway;
GRANT EXECUTE ON FUNCTION stations_authority_find(text) TO $prefix_app;
REVOKE ALL ON FUNCTION stations_find(json), stations_waiting_commands(text), stations_held_by(text),
    stations_unwelcome(text), stations_journal_waiting(), stations_file_ticket(text),
    stations_ingest_frames(text, json), stations_seen(text, json) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stations_find(json), stations_waiting_commands(text), stations_held_by(text),
    stations_unwelcome(text), stations_journal_waiting(), stations_file_ticket(text),
    stations_ingest_frames(text, json), stations_seen(text, json) TO $prefix_gateway;
GRANT EXECUTE ON FUNCTION stations_find(json), stations_journal_waiting(), stations_file_ticket(text) TO $prefix_app;

-- Partitions: frames by day, readings by month. Owned by the owner, for only it may create and drop tables.
CREATE OR REPLACE FUNCTION stations_make_partition(parent text, lower_bound timestamptz, upper_bound timestamptz,
                                                   suffix text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF to_regclass(parent || '_' || suffix) IS NOT NULL THEN RETURN; END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', parent || '_' || suffix, parent,
                   lower_bound, upper_bound);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', parent || '_' || suffix);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', parent || '_' || suffix);
END $$;
REVOKE ALL ON FUNCTION stations_make_partition(text, timestamptz, timestamptz, text) FROM PUBLIC;

-- A new partition locks its parent: who waits for that lock makes all writers wait behind him, so he gives up soon.
CREATE OR REPLACE FUNCTION stations_ensure_partitions() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' SET lock_timeout = '500ms' AS $$
DECLARE
    day timestamptz;
    month timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('voltyard partitions'));
    FOR day IN SELECT generate_series(date_trunc('day', now()) - interval '1 day', date_trunc('day', now())
                                      + interval '3 days', interval '1 day') LOOP
        PERFORM stations_make_partition('stations_frame', day, day + interval '1 day', to_char(day, 'YYYYMMDD'));
    END LOOP;
    FOR month IN SELECT generate_series(date_trunc('month', now()) - interval '2 months', date_trunc('month', now())
                                        + interval '2 months', interval '1 month') LOOP
        PERFORM stations_make_partition('stations_reading', month, month + interval '1 month',
                                        to_char(month, 'YYYYMM'));
    END LOOP;
END $$;

-- When the oldest frame came that still waits to be applied; null if none does. (Row security hides frames from the owner.)
CREATE OR REPLACE FUNCTION stations_oldest_waiting() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT min(f.received_at) FROM stations_journalhead h
    LEFT JOIN stations_journalcursor c ON c.tenant_id = h.tenant_id AND c.gateway = h.gateway
    JOIN stations_frame f ON f.tenant_id = h.tenant_id AND f.gateway = h.gateway AND f.apply
        AND f.id > coalesce(c.applied_id, 0)
    WHERE h.last_id > coalesce(c.applied_id, 0)
$$;
ALTER FUNCTION stations_oldest_waiting() OWNER TO $prefix_ingest;
REVOKE ALL ON FUNCTION stations_oldest_waiting() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stations_oldest_waiting() TO CURRENT_USER;

-- Drops whole days of frames that ended before `keep_days` ago, up to the oldest one that waits to be applied. Returns how
-- many partitions went.
CREATE OR REPLACE FUNCTION stations_drop_frames(keep_days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' SET lock_timeout = '500ms' AS $$
DECLARE
    part record;
    dropped integer := 0;
    keep_from date := least(current_date - keep_days, coalesce(stations_oldest_waiting(), now())::date);
BEGIN
    IF keep_days < 1 THEN RAISE EXCEPTION 'frames are kept for at least one day'; END IF;
    FOR part IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'stations_frame'::regclass AND c.relname ~ '^stations_frame_[0-9]{8}$'
                  AND to_date(right(c.relname, 8), 'YYYYMMDD') < keep_from LOOP
        EXECUTE format('DROP TABLE %I', part.relname);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;
REVOKE ALL ON FUNCTION stations_ensure_partitions(), stations_drop_frames(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stations_ensure_partitions(), stations_drop_frames(integer) TO $prefix_app;
SELECT stations_ensure_partitions();

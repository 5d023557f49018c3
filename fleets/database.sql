-- The hot path of authorisation, as a function so that each connection plans it once: planning costs as much as judging
-- twenty tokens. It runs as its caller, under the caller's row security.

DROP FUNCTION IF EXISTS fleets_judge(bigint, json);

-- shown: [[uid in normal form, site id, ISO time], ...]; a row for each, in order. LIMIT 1 keeps the planner from
-- reading all tokens of a tenant for the sake of a few. `reason`: fleets.services.authorization.Reason, "" if accepted.
CREATE FUNCTION fleets_judge(of_tenant bigint, shown json)
RETURNS TABLE (reason text, token_id bigint, driver_id bigint, fleet_id bigint, token_group varchar,
               expires_at timestamptz, concurrent boolean, language varchar, message varchar, kind varchar,
               priority smallint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT CASE
             WHEN t.id IS NULL THEN 'unknown'
             WHEN t.blocked THEN 'blocked'
             WHEN t.driver_blocked THEN 'driver_blocked'
             WHEN t.valid_from > s.at THEN 'not_yet_valid'
             WHEN t.expires_at <= s.at THEN 'expired'
             WHEN t.site_ids <> '{}' AND NOT coalesce(s.site_id = ANY (t.site_ids), false) THEN 'other_site'
             WHEN t.kind IN ('mac_address', 'vin') AND NOT coalesce(
                 (SELECT a.enabled FROM fleets_autocharge a WHERE a.tenant_id = of_tenant AND a.site_id = s.site_id),
                 (SELECT a.enabled FROM fleets_autocharge a WHERE a.tenant_id = of_tenant AND a.site_id IS NULL),
                 false) THEN 'autocharge_off'
             ELSE ''
           END,
           t.id, t.driver_id, t.fleet_id, coalesce(t."group", ''), t.expires_at, coalesce(t.concurrent, false),
           coalesce(t.language, ''), coalesce(t.message, ''), coalesce(t.kind, ''), t.priority
    FROM (SELECT n, row->>0 AS uid, (row->>1)::bigint AS site_id, (row->>2)::timestamptz AS at
          FROM json_array_elements(shown) WITH ORDINALITY AS list(row, n)) s
    LEFT JOIN LATERAL (
        SELECT k.id, k.driver_id, coalesce(k.fleet_id, d.fleet_id) AS fleet_id, k."group", k.valid_from,
               k.expires_at, k.concurrent, k.language, k.message, k.kind, k.priority, k.blocked,
               coalesce(d.blocked, false) AS driver_blocked,
               ARRAY (SELECT l.site_id FROM fleets_tokensite l
                      WHERE l.tenant_id = of_tenant AND l.token_id = k.id) AS site_ids
        FROM fleets_token k LEFT JOIN fleets_driver d ON d.tenant_id = of_tenant AND d.id = k.driver_id
        WHERE k.tenant_id = of_tenant AND k.uid = s.uid LIMIT 1) t ON true
    ORDER BY s.n;
END $$;
REVOKE ALL ON FUNCTION fleets_judge(bigint, json) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fleets_judge(bigint, json) TO $prefix_app, $prefix_gateway, $prefix_platform;

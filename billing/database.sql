-- The tariff that counts, for a batch of sessions that start. A function so that each connection plans it once; it runs
-- as its caller, under the caller's row security.

DROP FUNCTION IF EXISTS billing_tariffs_for(bigint, json);

-- requests: [[site id, the station's own tariff or null], ...]; a row for each, in order: the station's own, else the
-- site's, else the tenant's default. Archived ones count as not set.
CREATE FUNCTION billing_tariffs_for(of_tenant bigint, requests json)
RETURNS TABLE (id bigint, name varchar, currency varchar, elements text, tax_included boolean, min_price numeric,
               max_price numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT t.id, t.name, t.currency, t.elements::text, t.tax_included, t.min_price, t.max_price
    FROM (SELECT n, (row->>0)::bigint AS site_id, (row->>1)::bigint AS own_id
          FROM json_array_elements(requests) WITH ORDINALITY AS list(row, n)) r
    LEFT JOIN LATERAL (
        SELECT k.* FROM billing_tariff k
        WHERE k.tenant_id = of_tenant AND k.archived_at IS NULL AND k.id = coalesce(
            (SELECT o.id FROM billing_tariff o
             WHERE o.tenant_id = of_tenant AND o.id = r.own_id AND o.archived_at IS NULL),
            (SELECT s.tariff_id FROM billing_sitetariff s WHERE s.tenant_id = of_tenant AND s.site_id = r.site_id),
            (SELECT d.id FROM billing_tariff d WHERE d.tenant_id = of_tenant AND d.is_default AND d.archived_at IS NULL))
        LIMIT 1) t ON true
    ORDER BY r.n;
END $$;
REVOKE ALL ON FUNCTION billing_tariffs_for(bigint, json) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing_tariffs_for(bigint, json) TO $prefix_app, $prefix_gateway, $prefix_platform;

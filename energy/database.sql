-- Load management: what is asked before a tenant is known.

GRANT SELECT (id, tenant_id, site_id, steers) ON energy_gridconnection TO $prefix_resolver;
GRANT SELECT (tenant_id, connection_id, owner, leased_until) ON energy_steering TO $prefix_resolver;
DROP POLICY IF EXISTS resolver ON energy_gridconnection;
CREATE POLICY resolver ON energy_gridconnection FOR SELECT TO $prefix_resolver USING (true);
DROP POLICY IF EXISTS resolver ON energy_steering;
CREATE POLICY resolver ON energy_steering FOR SELECT TO $prefix_resolver USING (true);

-- Sites that are to be steered, with who does so until when. Steering rows of sites that are switched off are left out.
CREATE OR REPLACE FUNCTION energy_steered()
RETURNS TABLE (tenant_id bigint, connection_id bigint, site_id bigint, owner varchar, leased_until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT c.tenant_id, c.id, c.site_id, s.owner, s.leased_until
    FROM energy_gridconnection c
    JOIN energy_steering s ON s.tenant_id = c.tenant_id AND s.connection_id = c.id
    JOIN tenants_tenant t ON t.id = c.tenant_id AND NOT t.suspended
    WHERE c.steers
$$;
ALTER FUNCTION energy_steered() OWNER TO $prefix_resolver;
REVOKE ALL ON FUNCTION energy_steered() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION energy_steered() TO $prefix_app;

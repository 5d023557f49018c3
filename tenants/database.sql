-- Functions that answer before a tenant is known, one per kind of credential. They run as a role that cannot
-- log in, owns nothing else and sees only the tables named in its policies.

GRANT SELECT ON tenants_tenant, tenants_membership, tenants_apikey TO $prefix_resolver;
DROP POLICY IF EXISTS resolver ON tenants_membership;
CREATE POLICY resolver ON tenants_membership FOR SELECT TO $prefix_resolver USING (true);
DROP POLICY IF EXISTS resolver ON tenants_apikey;
CREATE POLICY resolver ON tenants_apikey FOR SELECT TO $prefix_resolver USING (true);

CREATE OR REPLACE FUNCTION tenants_memberships_of(person bigint)
RETURNS TABLE (tenant_id bigint, role varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT m.tenant_id, m.role FROM tenants_membership m JOIN tenants_tenant t ON t.id = m.tenant_id
    WHERE m.user_id = person AND m.active AND NOT t.suspended ORDER BY t.name
$$;

CREATE OR REPLACE FUNCTION tenants_find_api_key(wanted text)
RETURNS TABLE (tenant_id bigint, id bigint, key_hash varchar)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT k.tenant_id, k.id, k.key_hash FROM tenants_apikey k JOIN tenants_tenant t ON t.id = k.tenant_id
    WHERE k.prefix = wanted AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
      AND NOT t.suspended
$$;

ALTER FUNCTION tenants_memberships_of(bigint) OWNER TO $prefix_resolver;
ALTER FUNCTION tenants_find_api_key(text) OWNER TO $prefix_resolver;
REVOKE ALL ON FUNCTION tenants_memberships_of(bigint), tenants_find_api_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_memberships_of(bigint), tenants_find_api_key(text) TO $prefix_app;

-- Tenants with facts that have not reached all their subscribers, for the dispatcher.
GRANT SELECT ON tenants_fact TO $prefix_resolver;
DROP POLICY IF EXISTS resolver ON tenants_fact;
CREATE POLICY resolver ON tenants_fact FOR SELECT TO $prefix_resolver USING (true);

CREATE OR REPLACE FUNCTION tenants_with_waiting_facts() RETURNS TABLE (tenant_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT DISTINCT f.tenant_id FROM tenants_fact f WHERE f.dispatched_at IS NULL ORDER BY 1
$$;
ALTER FUNCTION tenants_with_waiting_facts() OWNER TO $prefix_resolver;
REVOKE ALL ON FUNCTION tenants_with_waiting_facts() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenants_with_waiting_facts() TO $prefix_app;

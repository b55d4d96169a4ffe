-- A month that is made takes no rights from the owner's default privileges: the trail is read and written through its parent alone.
create function ops.audit_close_month(of_month text) returns void
    language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    holder text;
begin
    for holder in
        select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
        from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
        where n.nspname = 'ops' and c.relname = of_month and a.grantee <> c.relowner
    loop
        execute format('revoke all on ops.%I from %s cascade', of_month, holder);
    end loop;
end
$$;
revoke all on function ops.audit_close_month(text) from public;

-- As before, but for the rights.
create or replace function ops.audit_make_month(month date) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    first constant date := date_trunc('month', month)::date;
    low constant bigint := extract(epoch from first::timestamp) * 1000000;
    high constant bigint := extract(epoch from (first + interval '1 month')::timestamp) * 1000000;
    name constant text := 'audit_log_' || to_char(first, 'YYYYMM');
begin
    if to_regclass('ops.' || name) is not null then
        return false;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('ops.audit_make_month', 0));
    -- Asked of the catalogue itself: who has waited for the lock may have an old answer in mind.
    if exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'ops' and c.relname = name) then
        return false;
    end if;
    execute format('create table ops.%I (like ops.audit_log including constraints)', name);
    perform ops.audit_close_month(name);
    -- Nobody else sees the rest while it is open to its owner.
    lock table ops.audit_log_rest in access exclusive mode;
    alter table ops.audit_log_rest no force row level security;
    execute format('with moved as (delete from ops.audit_log_rest where at_micros >= %s and at_micros < %s returning *)
        insert into ops.%I select * from moved', low, high, name);
    alter table ops.audit_log_rest force row level security;
    execute format('alter table ops.%I enable row level security', name);
    execute format('alter table ops.%I force row level security', name);
    execute format('create policy tenant_rows on ops.%I
        using (tenant = (select nullif(current_setting(''app.current_tenant'', true), '''')))', name);
    execute format('alter table ops.audit_log attach partition ops.%I for values from (%s) to (%s)', name, low, high);
    return true;
exception
    -- The table of before has this month, or somebody was faster.
    when invalid_object_definition or duplicate_table then
        return false;
end
$$;

do $$
declare
    of_month text;
begin
    for of_month in
        select c.relname from pg_class c join pg_inherits i on i.inhrelid = c.oid where i.inhparent = 'ops.audit_log'::regclass
    loop
        perform ops.audit_close_month(of_month);
    end loop;
end
$$;

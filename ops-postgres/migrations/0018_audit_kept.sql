-- What stays of the records that retention removed: their places in the chain, and the digests of what they said. Chain, tree and proofs of the rest hold as before.
create table ops.audit_kept (
    tenant   text not null,
    sequence bigint not null check (sequence > 0),
    -- The same record given again is known.
    id       uuid not null,
    hash     bytea not null check (octet_length(hash) = 32),
    content  bytea not null check (octet_length(content) = 32),
    primary key (tenant, sequence)
);
create index audit_kept_id on ops.audit_kept (tenant, id);
alter table ops.audit_kept enable row level security;
alter table ops.audit_kept force row level security;
create policy tenant_rows on ops.audit_kept
    using (tenant = (select nullif(current_setting('app.current_tenant', true), '')));

-- Up to when records of a tenant were removed: an older record may be one of them.
create table ops.audit_pruned (
    tenant text not null,
    until  bigint not null,
    primary key (tenant, until)
);
alter table ops.audit_pruned enable row level security;
alter table ops.audit_pruned force row level security;
create policy tenant_rows on ops.audit_pruned
    using (tenant = (select nullif(current_setting('app.current_tenant', true), '')));

-- A hold may be about a resource too.
alter table ops.data_hold
    add column resource_type text,
    add column resource_id text,
    add constraint data_hold_resource check (resource_id is null or resource_type is not null);

-- What is held of a tenant: for those who may remove something from the trail.
create function ops.audit_holds(of_tenant text)
    returns table (id uuid, tenant text, person text, resource_type text, resource_id text, reason text, since bigint)
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select h.id, h.tenant, h.person, h.resource_type, h.resource_id, h.reason, h.since
    from ops.data_hold h where h.released_at is null and h.tenant = of_tenant order by h.since, h.id
$$;
revoke all on function ops.audit_holds(text) from public;

-- Nobody places a hold from here on until the transaction ends.
create function ops.audit_hold_still() returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    lock table ops.data_hold in share mode;
end
$$;
revoke all on function ops.audit_hold_still() from public;

-- The months that ended by `until` and have records, with their tenants. The rows of a partition are open to its owner for a moment; nobody else sees it then.
create function ops.audit_months(until bigint) returns table (first date, tenant text)
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    part text;
    at bigint;
    behind bigint;
begin
    perform set_config('lock_timeout', '2s', true);
    for part in
        -- In the order in which a reader takes them.
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'ops.audit_log'::regclass
        order by c.relname <> 'audit_log_before', c.relname
    loop
        if part ~ '^audit_log_[0-9]{6}$' then
            continue when extract(epoch from to_date(right(part, 6), 'YYYYMM') + interval '1 month') * 1000000 > until;
        end if;
        execute format('alter table ops.%I no force row level security', part);
        tenant := null;
        loop
            execute format('select min(x.tenant) from ops.%I x where $1 is null or x.tenant > $1', part) into tenant using tenant;
            exit when tenant is null;
            -- From year 1 on.
            behind := -62135596800000000;
            loop
                execute format('select min(x.at_micros) from ops.%I x where x.tenant = $1 and x.at_micros >= $2 and x.at_micros < $3', part)
                    into at using tenant, behind, until;
                exit when at is null;
                first := date_trunc('month', timestamp 'epoch' + floor(at / 1000000.0) * interval '1 second')::date;
                behind := extract(epoch from (first + interval '1 month')::timestamp) * 1000000;
                if behind <= until then
                    return next;
                end if;
            end loop;
        end loop;
        execute format('alter table ops.%I force row level security', part);
    end loop;
end
$$;
revoke all on function ops.audit_months(bigint) from public;

-- Keeps what stands for records of the present tenant, and removes their salts. The records themselves go with `ops.audit_drop`, in the same transaction.
create function ops.audit_keep(of_tenant text, low bigint, high bigint, sequences bigint[], contents bytea[]) returns bigint
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    kept bigint;
begin
    insert into ops.audit_kept (tenant, sequence, id, hash, content)
        select l.tenant, l.sequence, l.id, l.hash, w.content
        from unnest(sequences, contents) as w (sequence, content)
        join ops.audit_log l on l.tenant = of_tenant and l.sequence = w.sequence and l.at_micros >= low and l.at_micros < high
            -- What tells of a removal stays for good.
            and l.action <> 'audit.prune';
    get diagnostics kept = row_count;
    delete from ops.audit_salt where tenant = of_tenant and sequence = any (sequences);
    insert into ops.audit_pruned (tenant, until) values (of_tenant, high) on conflict do nothing;
    return kept;
end
$$;
revoke all on function ops.audit_keep(text, bigint, bigint, bigint[], bytea[]) from public;

-- Removes the records of a month that stand in `ops.audit_kept`. Its partition is dropped as a whole; what stays of it moves to the partition for the rest. New holds
-- wait until the transaction ends.
create function ops.audit_drop(low bigint, high bigint) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    part record;
begin
    -- Behind a long reader it gives up: who waits here holds up every writer.
    perform set_config('lock_timeout', '2s', true);
    lock table ops.data_hold in share mode;
    -- As a reader takes them: first the trail, then what was kept of it.
    lock table only ops.audit_log in access exclusive mode;
    alter table ops.audit_kept no force row level security;
    for part in
        select c.relname as name, pg_get_expr(c.relpartbound, c.oid) as bound
        from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'ops.audit_log'::regclass order by c.relname
    loop
        if part.bound = format('FOR VALUES FROM (%L) TO (%L)', low::text, high::text) then
            execute format('alter table ops.audit_log detach partition ops.%I', part.name);
            execute format('alter table ops.%I no force row level security', part.name);
            alter table ops.audit_log no force row level security;
            execute format('insert into ops.audit_log select x.* from ops.%I x
                where not exists (select from ops.audit_kept k where k.tenant = x.tenant and k.sequence = x.sequence)', part.name);
            alter table ops.audit_log force row level security;
            execute format('drop table ops.%I', part.name);
        elsif part.name !~ '^audit_log_[0-9]{6}$' then
            execute format('alter table ops.%I no force row level security', part.name);
            execute format('delete from ops.%I x using ops.audit_kept k
                where k.tenant = x.tenant and k.sequence = x.sequence and x.at_micros >= $1 and x.at_micros < $2', part.name) using low, high;
            execute format('alter table ops.%I force row level security', part.name);
        end if;
    end loop;
    alter table ops.audit_kept force row level security;
end
$$;
revoke all on function ops.audit_drop(bigint, bigint) from public;

-- Who reads the trail reads what was kept of it, and who removes names from it must know what is held: also roles that were made before this.
do $$
declare
    reader text;
    function regprocedure;
begin
    -- No rights from the owner's default privileges.
    perform ops.audit_close_month('audit_kept');
    perform ops.audit_close_month('audit_pruned');
    for function, reader in
        select p.oid::regprocedure, quote_ident(pg_get_userbyid(a.grantee))
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace, aclexplode(p.proacl) a
        where n.nspname = 'ops' and p.proname in ('audit_holds', 'audit_hold_still', 'audit_months', 'audit_keep', 'audit_drop')
            and a.grantee not in (0, p.proowner)
    loop
        execute format('revoke all on function %s from %s cascade', function, reader);
    end loop;
    for reader in
        select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
        from pg_class c, aclexplode(c.relacl) a
        where c.oid = 'ops.audit_log'::regclass and a.privilege_type = 'SELECT' and a.grantee <> c.relowner
    loop
        execute format('grant select on ops.audit_kept, ops.audit_pruned to %s', reader);
    end loop;
    for reader in
        select distinct quote_ident(pg_get_userbyid(a.grantee))
        from pg_proc p, aclexplode(p.proacl) a
        where p.oid = 'ops.audit_withhold(text, bigint, bigint, text, text, text, text, text)'::regprocedure
            and a.grantee not in (0, p.proowner)
    loop
        execute format('grant execute on function ops.audit_holds(text), ops.audit_hold_still() to %s', reader);
    end loop;
end
$$;

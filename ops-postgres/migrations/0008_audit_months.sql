-- The audit trail by months, with salts beside it and the tree's peaks beside the head. The table of before becomes the partition of its time: no row is
-- copied or changed, so that every chain verifies as before. A large one is read once for the new key.
set local statement_timeout = 0;

alter table ops.audit_log rename to audit_log_before;
alter table ops.audit_log_before
    add column withheld text,
    add column producer uuid,
    add column number bigint;
alter index ops.audit_log_newest rename to audit_log_before_newest;
alter index ops.audit_log_actor rename to audit_log_before_actor;
alter index ops.audit_log_resource rename to audit_log_before_resource;

create table ops.audit_log (
    tenant        text not null,
    sequence      bigint not null check (sequence > 0),
    id            uuid not null,
    at_micros     bigint not null,
    actor_kind    text not null,
    actor_id      text not null,
    action        text not null,
    resource_type text not null,
    resource_id   text not null,
    outcome       text not null,
    run           text,
    details       text not null,
    hash          bytea not null check (octet_length(hash) = 32),
    -- The fields whose value was removed, with what stands for each in the hash: a JSON object.
    withheld      text,
    -- Where the record was kept before it came here.
    producer      uuid,
    number        bigint,
    -- Begins with the tenant, so that an id tells nothing about another tenant's records. It is the order of a search too.
    constraint audit_log_record unique (tenant, at_micros, id)
) partition by range (at_micros);
create index audit_log_chain on ops.audit_log (tenant, sequence);
create index audit_log_actor on ops.audit_log (tenant, actor_id, at_micros desc, id desc);
create index audit_log_resource on ops.audit_log (tenant, resource_type, resource_id, at_micros desc, id desc);
alter table ops.audit_log enable row level security;
alter table ops.audit_log force row level security;
create policy tenant_rows on ops.audit_log
    using (tenant = (select nullif(current_setting('app.current_tenant', true), '')));

-- What no month was made for. Writing goes on when nobody makes months.
create table ops.audit_log_rest partition of ops.audit_log default;
alter table ops.audit_log_rest enable row level security;
alter table ops.audit_log_rest force row level security;
create policy tenant_rows on ops.audit_log_rest
    using (tenant = (select nullif(current_setting('app.current_tenant', true), '')));

-- The salts of fields whose value may be removed: a JSON object for each record that has any.
create table ops.audit_salt (
    tenant   text not null,
    sequence bigint not null,
    salts    text not null,
    primary key (tenant, sequence)
);
alter table ops.audit_salt enable row level security;
alter table ops.audit_salt force row level security;
create policy tenant_rows on ops.audit_salt
    using (tenant = (select nullif(current_setting('app.current_tenant', true), '')));

-- The roots of the full subtrees, largest first, one behind the other. Null: not computed yet.
alter table ops.audit_head add column peaks bytea;

-- Makes the partition of a month, in UTC, and moves what waits for it in the rest. False: there was nothing to make. The audit writer may call it: it takes
-- a month and nothing else, and the rows stay as they are.
create function ops.audit_make_month(month date) returns boolean
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
    if to_regclass('ops.' || name) is not null then
        return false;
    end if;
    execute format('create table ops.%I (like ops.audit_log including constraints)', name);
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
    -- The table of before has this month.
    when invalid_object_definition then
        return false;
end
$$;
revoke all on function ops.audit_make_month(date) from public;

-- Removes values and salts of one record. What stands for them in the hash is given by the caller: a wrong one shows as a broken chain.
create function ops.audit_withhold(of_tenant text, of_sequence bigint, of_at bigint, new_actor text, new_resource text, new_details text,
    new_withheld text, left_salts text) returns boolean
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update ops.audit_log
        set actor_id = new_actor, resource_id = new_resource, details = new_details, withheld = new_withheld
        where tenant = of_tenant and sequence = of_sequence and at_micros = of_at;
    if not found then
        return false;
    end if;
    if left_salts is null then
        delete from ops.audit_salt where tenant = of_tenant and sequence = of_sequence;
    else
        update ops.audit_salt set salts = left_salts where tenant = of_tenant and sequence = of_sequence;
    end if;
    return true;
end
$$;
revoke all on function ops.audit_withhold(text, bigint, bigint, text, text, text, text, text) from public;

do $$
declare
    newest bigint;
    until date;
begin
    -- The owner sees no row while row security is forced.
    alter table ops.audit_log_before no force row level security;
    select max(at_micros) into newest from ops.audit_log_before;
    if newest is null then
        drop table ops.audit_log_before;
    else
        alter table ops.audit_log_before force row level security;
        until := date_trunc('month', greatest(now() at time zone 'UTC',
            timestamp 'epoch' + newest / 1000000 * interval '1 second'))::date + interval '1 month';
        execute format('alter table ops.audit_log attach partition ops.audit_log_before for values from (minvalue) to (%s)',
            (extract(epoch from until::timestamp) * 1000000)::bigint);
    end if;
    for ahead in 0..3 loop
        perform ops.audit_make_month(((now() at time zone 'UTC')::date + make_interval(months => ahead))::date);
    end loop;
end
$$;

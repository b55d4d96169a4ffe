-- One hash chain for each tenant. Keys begin with the tenant, so that an id tells nothing about another tenant's records.
create table ops.audit_head (
    tenant   text primary key,
    sequence bigint not null check (sequence >= 0),
    hash     bytea check (octet_length(hash) = 32),
    check ((sequence = 0) = (hash is null))
);

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
    -- A JSON object as text: what is hashed is what was written.
    details       text not null,
    hash          bytea not null check (octet_length(hash) = 32),
    primary key (tenant, sequence),
    unique (tenant, id)
);
create index audit_log_newest on ops.audit_log (tenant, at_micros desc, id desc);
create index audit_log_actor on ops.audit_log (tenant, actor_id, at_micros desc, id desc);
create index audit_log_resource on ops.audit_log (tenant, resource_type, resource_id, at_micros desc, id desc);

-- The tenant is set for each transaction. After it ends the setting is '' and not null: nullif makes both mean "no rows".
alter table ops.audit_head enable row level security;
alter table ops.audit_head force row level security;
create policy tenant_rows on ops.audit_head
    using (tenant = (select nullif(current_setting('app.current_tenant', true), '')));
alter table ops.audit_log enable row level security;
alter table ops.audit_log force row level security;
create policy tenant_rows on ops.audit_log
    using (tenant = (select nullif(current_setting('app.current_tenant', true), '')));

-- Where each tenant stands in its life. The row outlives the tenant's data: a purged id is never given again.
create table ops.tenant (
    id         text primary key,
    name       text not null,
    plan       text not null,
    state      text not null check (state in ('active', 'deleted', 'purged')),
    created_at bigint not null,
    deleted_at bigint check ((state = 'active') = (deleted_at is null)),
    purged_at  bigint check ((state = 'purged') = (purged_at is not null)),
    -- Rows left per table when the purge was proven, a JSON object as text.
    proof      text
);

-- What must not be deleted, whatever the rules say: everything of a tenant, or of one person of it. Micros of the program's clock.
create table ops.data_hold (
    id          uuid primary key,
    tenant      text not null,
    person      text,
    reason      text not null,
    since       bigint not null,
    released_at bigint
);
create index data_hold_open on ops.data_hold (tenant, person) where released_at is null;

-- Who asked to be forgotten, when, and when it was done: two times. The person's id stays as the proof that it was done.
create table ops.deletion_requests (
    id           uuid primary key,
    tenant       text not null,
    user_id      text not null,
    requested_at bigint not null,
    requested_by text not null,
    -- The value that takes the person's place; gone when it is done, so that nobody can trace it back.
    pseudonym    text,
    completed_at bigint check (completed_at is null or pseudonym is null),
    -- What was done per table, a JSON document as text.
    report       text
);
-- One open request for each person, however often it is asked for.
create unique index deletion_requests_open on ops.deletion_requests (tenant, user_id) where completed_at is null;
create index deletion_requests_person on ops.deletion_requests (tenant, user_id, requested_at);

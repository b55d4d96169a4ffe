-- Steps of migrations that opsctl runs, in the database that they change: a row is written in the transaction of its step.
create table ops.migration_step (
    migration text        not null,
    position  integer     not null,
    digest    text        not null,
    begun_at  timestamptz not null default clock_timestamp(),
    -- Null: a step that refuses transactions has begun, and nobody knows how far it came.
    done_at   timestamptz,
    primary key (migration, position)
);

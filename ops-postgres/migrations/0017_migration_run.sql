-- Two folders of migrations may have the same versions: the tool's table tells them apart. Empty: a folder without one, or a step from before.
alter table ops.migration_step
    add column scope text not null default '',
    -- Whether the tool's table got its row in the same transaction; null: from before.
    add column recorded boolean,
    drop constraint migration_step_pkey,
    add primary key (scope, migration, position);

-- What a run still owes after its last step: from before its first step until its watch is over.
create table ops.migration_run (
    scope text        primary key,
    run   jsonb       not null,
    at    timestamptz not null default clock_timestamp()
);

-- The steps of a way back have marks of their own beside those of the way up. The last one of them is recorded: the migration is gone from the tool's table,
-- and the marks of its way up with it.
alter table ops.migration_step
    add column back boolean not null default false,
    drop constraint migration_step_pkey,
    add primary key (scope, migration, back, position);

-- Between deleted and purged: rows are going for good, so that there is no way back. It is written before the first row goes.
alter table ops.tenant drop constraint tenant_state_check;
alter table ops.tenant add constraint tenant_state_check check (state in ('active', 'deleted', 'purging', 'purged'));

-- What roles had set for themselves in this database before read-only mode set another value, of roles that the snapshot of the first
-- stop may not know: a later one goes on from there.
create table ops.read_only_setting (
    role  text primary key,
    value text
);

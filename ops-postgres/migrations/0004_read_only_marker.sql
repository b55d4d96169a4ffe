-- The run that made the database read-only, so that a second machine finds it.
create table ops.read_only_marker (
    only_row boolean primary key default true check (only_row),
    run      text not null,
    since    timestamptz not null default clock_timestamp()
);

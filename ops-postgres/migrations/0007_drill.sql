-- Reports of drills, a row a run. Written once: nothing here is ever changed or deleted.
create table ops.drill (
    run       text primary key,
    procedure text not null,
    digest    text not null,
    -- As text: the digest is that of the report, not of the row.
    report    text not null
);
create index drill_newest on ops.drill (procedure, run collate "C" desc);

-- Which features are stopped: one row, replaced by compare-and-set on its generation.
create table ops.switch_state (
    only_row   boolean primary key default true check (only_row),
    generation bigint not null check (generation >= 0),
    stopped    text not null
);
insert into ops.switch_state (generation, stopped) values (0, '{}');

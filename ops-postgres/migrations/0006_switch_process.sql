-- Which processes have a kill switch, and what each has applied. The server's clock dates them.
create table ops.switch_process (
    id      text primary key,
    process text not null,
    heard   timestamptz not null default clock_timestamp()
);

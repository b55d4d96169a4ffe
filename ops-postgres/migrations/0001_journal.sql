-- What runs have begun, and the prior states that they hold.
create table ops.journal_entry (
    position bigint generated always as identity primary key,
    run      text not null,
    -- JSON as text: jsonb would rewrite numbers and refuse \u0000.
    entry    text not null
);
create index journal_entry_run on ops.journal_entry (run, position);

create table ops.journal_hold (
    position    bigint generated always as identity primary key,
    target      text not null,
    run         text not null,
    at_micros   bigint not null,
    snapshot    text not null,
    released_at timestamptz
);
-- First writer wins: one open hold for each target, whoever asks.
create unique index journal_hold_open on ops.journal_hold (target) where released_at is null;

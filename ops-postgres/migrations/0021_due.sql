-- What a maintenance calendar cannot compute. Written once: nothing here is ever changed or deleted.

-- Since when an item is looked at, and so owed.
create table ops.due_begun (
    item text primary key,
    -- Microseconds since 1970.
    at   bigint not null
);

-- Dates that were set once.
create table ops.due_date (
    key   text primary key,
    due   bigint not null,
    entry text not null
);

-- What was done, or given up. The primary key decides who was first.
create table ops.due_completion (
    key   text primary key,
    at    bigint not null,
    entry text not null
);
create index due_completion_at on ops.due_completion (at);

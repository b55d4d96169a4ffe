-- Which one of many processes does a job now. A row stays for good, so that its token never goes back.
create table ops.lease (
    name   text        primary key,
    -- One life of one run; null: given back, or taken away.
    holder text,
    token  bigint      not null check (token > 0),
    since  timestamptz not null,
    -- From when on another may have it. After a holder was taken out, what it was last promised.
    until  timestamptz not null
)
-- Rows change all the time and no index column does.
with (fillfactor = 50);

-- Incidents: a log of entries each. Written once: nothing here is ever changed or deleted.
create table ops.incident_entry (
    incident text not null,
    number   integer not null check (number > 0),
    -- JSON as text: jsonb would rewrite numbers and refuse \u0000.
    entry    text not null,
    -- Of two who write the same number at once, the second waits here and is told.
    primary key (incident, number)
);

-- What a list shows of each incident, so that it reads one row an incident and no entries. It follows from the entries, and changes in the transaction that adds one.
create table ops.incident (
    incident text primary key,
    newest   integer not null check (newest > 0),
    -- Null: it concerns everybody.
    tenant   text,
    resolved boolean not null,
    summary  text not null
);
create index incident_newest on ops.incident (incident collate "C" desc);
create index incident_open on ops.incident (incident collate "C" desc) where not resolved;

create function ops.incident_written_once() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception 'an entry of an incident is never changed or deleted' using errcode = 'insufficient_privilege';
end
$$;
revoke all on function ops.incident_written_once() from public;
create trigger written_once before update or delete or truncate on ops.incident_entry
    for each statement execute function ops.incident_written_once();

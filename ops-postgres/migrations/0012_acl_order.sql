-- In which order privileges stood before read-only mode took them. What is granted again goes to the end, and a dump of the schema shows it.
create table ops.acl_order (
    only_row boolean primary key default true check (only_row),
    -- A JSON object as text.
    orders   text not null
);

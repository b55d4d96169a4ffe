create domain plain_text as text;
create domain positive as int check (value > 0);
create type mood as enum ('sad', 'happy');
create type pair as (a int, b int);
create function stamp() returns trigger language plpgsql as 'begin return new; end';
create function token() returns text language sql volatile as 'select gen_random_uuid()::text';
create function fixed() returns text language sql stable as 'select ''a''::text';

create table hot (id bigint primary key, name text);
create table big (
    id bigint primary key,
    a int,
    b int not null,
    vc varchar(20),
    vcx varchar(20),
    vn varchar,
    t text,
    tx text,
    n numeric(10, 2),
    ts timestamp,
    tz timestamptz,
    tz3 timestamptz(3),
    j jsonb,
    ip cidr,
    bits bit varying(8),
    ch char(4),
    dom positive,
    free plain_text,
    m mood,
    hot_id bigint,
    hot2_id bigint,
    proved int,
    unproved int,
    checked int,
    gen int generated always as (a + 1) stored,
    arr varchar(5)[],
    i int,
    o oid,
    part text,
    constraint big_proved check (proved is not null),
    constraint big_checked check (checked > 0),
    constraint big_hot foreign key (hot_id) references hot (id)
);
create index big_vcx on big (vcx);
create index big_tx on big (tx);
create index big_expr on big (lower(t));
create index big_part on big (part) where part is not null;
create unique index big_b on big (b);
create unique index big_a on big (a);
create trigger big_stamp before update on big for each row execute function stamp();
create policy big_policy on big using (true);
create rule big_rule as on delete to big do also nothing;
create statistics big_stat on a, b from big;
create view big_view as select id, a from big;
create view top_view as select id from big_view;
create materialized view big_mat as select id, a from big;
create unique index big_mat_id on big_mat (id);
comment on table big is 'large';

create table lone (id int, v text, w text);
create table other (id bigint primary key, big_b int, constraint other_big foreign key (big_b) references big (b));

create table parted (id int not null, k int not null, v text, hot_id bigint) partition by range (k);
create table parted_1 partition of parted for values from (0) to (10);
create table parted_2 partition of parted for values from (10) to (20);
create index parted_id on parted (id);
create trigger parted_stamp before insert on parted for each row execute function stamp();
create table loose_3 (id int not null, k int not null, v text, hot_id bigint);
create index loose_3_id on loose_3 (id);
create table loose_4 (id int not null, k int not null, v text, hot_id bigint, constraint k_in check (k is not null and k >= 30 and k < 40));
create index loose_4_id on loose_4 (id);
create table loose_5 (id int not null, k int not null, v text, hot_id bigint);

create table listed (k int not null, v text) partition by list (k);
create table listed_1 partition of listed for values in (1);
create table listed_rest partition of listed default;
create table listed_2 (k int not null, v text);
create table listed_3 (k int not null, v text, constraint k_is check (k is not null and k = 3));

create table keyed (k int not null, hot_id bigint references hot (id)) partition by range (k);
create table keyed_1 partition of keyed for values from (0) to (10);
create table keyed_2 (k int not null, hot_id bigint);

create table parent (id int, v text);
create table child (extra int) inherits (parent);
create table stray (id int, v text);

create unlogged table light (id int);
create schema other_schema;
create table other_schema.far (id int);
create table "Odd Name" ("Id" int, v text);
create publication pub for table lone;

insert into hot select g, 'n' from generate_series(1, 20) g;
insert into big (id, a, b, vc, vcx, vn, t, tx, n, ts, tz, tz3, hot_id, hot2_id, proved, unproved, checked, dom, free, i, part)
    select g, g, g, 'x', 'x', 'x', 'x', 'x', 1, now(), now(), now(), g, g, 1, 1, 1, 1, 'f', g, 'p' from generate_series(1, 20) g;
insert into lone select g, 'v', 'w' from generate_series(1, 20) g;
insert into other select g, g from generate_series(1, 20) g;
alter table big add constraint big_unproved check (unproved is not null) not valid;
alter table big add constraint big_loose check (a > 0) not valid;
alter table big add constraint big_hot2 foreign key (hot2_id) references hot (id) not valid;
insert into parted select g, g, 'v', g from generate_series(1, 19) g;
insert into loose_3 select g, 25, 'v', 1 from generate_series(1, 5) g;
insert into loose_4 select g, 35, 'v', 1 from generate_series(1, 5) g;
insert into loose_5 select g, 45, 'v', 1 from generate_series(1, 5) g;
insert into listed select g, 'v' from generate_series(4, 9) g;
insert into listed_2 values (2, 'v');
insert into listed_3 values (3, 'v');
insert into keyed select g, g from generate_series(1, 9) g;
insert into keyed_2 values (15, 1);
insert into parent select g, 'v' from generate_series(1, 5) g;
insert into child select g, 'v', g from generate_series(1, 5) g;
insert into light values (1);
refresh materialized view big_mat;

-- What others are asked to approve, and what they signed. Nothing here is believed unchecked.
create table ops.approval_request (
    digest       text primary key,
    at_micros    bigint not null,
    until_micros bigint not null,
    request      text not null
);
create index approval_request_until on ops.approval_request (until_micros);

create table ops.approval (
    digest      text not null,
    fingerprint text not null,
    approval    text not null,
    primary key (digest, fingerprint)
);

-- What the operator thinks of a node, and what it can carry.

alter table node
    add column weight real not null default 1 check (weight between 0.1 and 10), -- 2 halves its round trips, 0.5 doubles them
    add column capacity_kbps bigint not null default 0;                           -- of media; 0: no limit

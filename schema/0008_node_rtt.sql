-- Round trips between nodes, as each measured them to others. Told with heartbeats: a row is written only when its figure has changed, or to
-- say that it still holds. No index but the key, and room on the page, so that updates stay there; what grew old is dropped in small steps.
create table node_rtt (
    org text collate "C" not null, -- whose node measured
    node text collate "C" not null,
    to_org text collate "C" not null,
    to_node text collate "C" not null,
    rtt_us int not null check (rtt_us >= 0),
    at timestamptz not null default now(),
    primary key (org, node, to_org, to_node)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000);
grant select, insert, update, delete on node_rtt to berth_operator;

-- Counts that would be dear to take each time, which master keys are in use, and load that nobody has told yet.

-- ---- counts ----

-- How many participants a node has (what 'participants', of the node's org and name) and how many meetings an org has (what 'meetings',
-- no name). What changes is a row of its own in tally_change, so nobody waits for anybody; tally_fold adds them to tally now and then.
-- The sum of both is right at any moment.
create table tally (
    what text collate "C" not null,
    org text collate "C" not null,
    name text collate "C" not null,
    n bigint not null,
    primary key (org, what, name)
) with (fillfactor = 50);
create table tally_change (
    what text collate "C" not null,
    org text collate "C" not null,
    name text collate "C" not null,
    n bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index tally_change_org on tally_change (org);

create function tally_participants() returns trigger language plpgsql security definer set search_path from current as $$
begin
    if tg_op = 'INSERT' then
        insert into tally_change select 'participants', node_org, node, count(*) from came group by node_org, node;
    elsif tg_op = 'DELETE' then
        insert into tally_change select 'participants', node_org, node, -count(*) from went group by node_org, node;
    else
        insert into tally_change select 'participants', node_org, node, sum(n) from
            (select node_org, node, 1 as n from came union all select node_org, node, -1 from went) moved
            group by node_org, node having sum(n) <> 0;
    end if;
    return null;
end
$$;
create function tally_meetings() returns trigger language plpgsql security definer set search_path from current as $$
begin
    if tg_op = 'INSERT' then
        insert into tally_change select 'meetings', org, '', count(*) from came group by org;
    else
        insert into tally_change select 'meetings', org, '', -count(*) from went group by org;
    end if;
    return null;
end
$$;

-- Nothing may come or go between the first count and the triggers.
lock table meeting, participant in share row exclusive mode;
insert into tally select 'participants', node_org, node, count(*) from participant group by node_org, node;
insert into tally select 'meetings', org, '', count(*) from meeting group by org;
create trigger participant_came after insert on participant referencing new table as came
    for each statement execute function tally_participants();
create trigger participant_moved after update on participant referencing new table as came old table as went
    for each statement execute function tally_participants();
create trigger participant_went after delete on participant referencing old table as went
    for each statement execute function tally_participants();
create trigger meeting_came after insert on meeting referencing new table as came
    for each statement execute function tally_meetings();
create trigger meeting_went after delete on meeting referencing old table as went
    for each statement execute function tally_meetings();

-- Adds up at most so many changes; one at a time, who comes second has nothing to do. Where the table was empty when the plan was made, a
-- scan of it would compare each row with each of those to be taken: they are to be fetched by their place.
create function tally_fold(at_most bigint) returns void
    language plpgsql volatile security definer
    set search_path from current
    set enable_seqscan = off
as $$
begin
    if not pg_try_advisory_xact_lock(7305804402568) then
        return;
    end if;
    with taken as (
        delete from tally_change where ctid = any (array(select ctid from tally_change limit at_most))
        returning what, org, name, n
    )
    insert into tally select what, org, name, sum(n) from taken group by what, org, name having sum(n) <> 0
        on conflict (org, what, name) do update set n = tally.n + excluded.n;
    delete from tally where n = 0;
end
$$;
revoke execute on function tally_fold from public;
grant execute on function tally_fold to berth_operator;
grant select on tally, tally_change to berth_operator;

create function org_meetings(of_org text) returns bigint
    language sql stable security definer
    set search_path from current
as $$
    select coalesce((select n from tally where org = of_org and what = 'meetings' and name = ''), 0)
        + coalesce((select sum(n) from tally_change where org = of_org and what = 'meetings'), 0)::bigint
$$;
revoke execute on function org_meetings from public;
grant execute on function org_meetings to berth_tenant;

create index api_key_alive on api_key (org) where revoked_at is null;

-- ---- master keys ----

-- A keyed hash of each master key that a controller of this database has had: it tells them apart and nothing else.
create table master_key (
    fingerprint text collate "C" primary key,
    first_seen_at timestamptz not null default now()
);

-- Whether somebody who has these master keys belongs here: one of them is known, or none is yet. They are all known from then on.
create function master_keys_fit(fingerprints text[]) returns boolean
    language plpgsql volatile security definer
    set search_path from current
as $$
begin
    perform pg_advisory_xact_lock(7305804402569);
    if exists (select from master_key) and not exists (select from master_key where fingerprint = any (fingerprints)) then
        return false;
    end if;
    insert into master_key (fingerprint) select distinct unnest(fingerprints) on conflict do nothing;
    return true;
end
$$;
revoke execute on function master_keys_fit from public;
grant execute on function master_keys_fit to berth_operator;

-- ---- load ----

-- Null until the first heartbeat: a node that has not told its load is not idle.
alter table node_load
    alter cpu drop not null, alter cpu drop default,
    alter packets_per_s drop not null, alter packets_per_s drop default,
    alter sessions drop not null, alter sessions drop default,
    alter bandwidth_bps drop not null, alter bandwidth_bps drop default;

-- Seats of a node with a capacity, leased in blocks: a join into a node that is in demand takes a seat of a block that its controller holds,
-- and waits for no other join.
--
-- A lease lives exactly as long as its row. For a node, let P be its participants, and for each of its live leases let `used` be those of
-- them that name it. Two statements hold at any moment:
--   (1) used <= seats, for each live lease;
--   (2) P + sum over live leases of (seats - used) <= capacity;
-- so P <= capacity. What keeps them, step by step:
--   grant    a lease is made under the node's lock, and only where (2) holds after it.
--   counted  a join that names no lease makes P grow, under the node's lock, held until it commits, and only where (2) holds after it.
--   leased   a join that names a live lease makes P and `used` grow by the same: (2) stays as it is. It holds the lease's lock, shared, until
--            it commits. Its controller hands out no more than `seats`, and hands a seat out again only when the join that had it is known
--            to have failed: (1).
--   end      a lease's row is deleted by who holds its lock alone: joins that name it have committed by then, or will find it gone and come
--            again, counted. The sum loses what was unused: that is room again at once.
--   leaving  P shrinks; of a live lease the sum grows by as much, until the lease ends.
--   limit    a lease remembers the capacity that it was granted under, and serves no more once that was lowered; counted joins
--            compare with the new one. Who is on the node already stays.
-- None of it depends on a clock. A counted join for which there is no room ends every lease of the node before it is refused, whichever
-- controller holds them: nobody is refused for seats that nobody uses. `expires_at` only says when anybody may tidy up.
-- Locks are taken in this order: a lease's, shared, or the node's and then leases' alone; then the meeting's row.
create table capacity_lease (
    id bigint primary key generated always as identity, -- never used twice
    node_org text collate "C" not null,
    node text collate "C" not null,
    seats bigint not null check (seats > 0),
    capacity bigint not null,
    expires_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index capacity_lease_node on capacity_lease (node_org, node);
grant select on capacity_lease to berth_operator;

-- No foreign key: who names a lease that is no more is simply counted.
alter table participant add column lease bigint;
create index participant_node_lease on participant (node_org, node, lease);
drop index participant_node;

-- A node's changes are looked for by every counted join.
create index tally_change_of on tally_change (org, what, name);
drop index tally_change_org;

create function capacity_lease_key(lease bigint) returns int
    language sql immutable strict parallel safe
    return (lease % 2147483647)::int;

-- Ends these leases; those that a join holds at the moment are left for another time. How many are no more.
create function capacity_lease_end(ids bigint[]) returns bigint
    language plpgsql volatile security definer
    set search_path from current
as $$
declare
    l bigint;
    ended bigint := 0;
begin
    foreach l in array ids loop
        if pg_try_advisory_xact_lock(730580, capacity_lease_key(l)) then
            delete from capacity_lease where id = l;
            ended := ended + 1;
        end if;
    end loop;
    return ended;
end
$$;
revoke execute on function capacity_lease_end from public;
grant execute on function capacity_lease_end to berth_operator;

-- Ends what has expired, whichever node it is of; one that a join holds, later.
create function capacity_lease_sweep() returns bigint
    language sql volatile security definer
    set search_path from current
as $$
    select capacity_lease_end(array(select id from capacity_lease where expires_at < now() limit 1000))
$$;
revoke execute on function capacity_lease_sweep from public;
grant execute on function capacity_lease_sweep to berth_operator;

-- What is left of a node's seats, for who holds its lock. Volatile, and one statement: it sees all that was committed before it, at once.
create function capacity_left(of_org text, of_node text, of_capacity bigint) returns bigint
    language plpgsql volatile
    set search_path from current
as $$
begin
    return of_capacity
        - coalesce((select n from tally where org = of_org and what = 'participants' and name = of_node), 0)
        - coalesce((select sum(n) from tally_change where org = of_org and what = 'participants' and name = of_node), 0)
        - coalesce((select sum(greatest(l.seats - (select count(*) from participant p
            where p.node_org = of_org and p.node = of_node and p.lease = l.id), 0))
            from capacity_lease l where l.node_org = of_org and l.node = of_node), 0);
end
$$;
revoke execute on function capacity_left from public;

-- Can this node take so many more now: 'ok', 'full', 'drained' or 'gone'. It looks across orgs, and tells that one word. With a lease, nobody
-- is waited for: 'ok', or 'lease' where that serves no more. Without one, who asks about a node that can fill up holds it until the
-- end of the transaction.
create function node_takes(of_org text, of_node text, more bigint, of_lease bigint) returns text
    language plpgsql volatile security definer
    set search_path from current
as $$
declare
    n record;
    l bigint;
begin
    select capacity, drain into n from node where org = of_org and id = of_node and deleted_at is null;
    if not found then
        return 'gone';
    elsif n.drain then
        return 'drained';
    elsif n.capacity = 0 or more <= 0 then
        return 'ok';
    elsif of_lease is not null then
        if pg_try_advisory_xact_lock_shared(730580, capacity_lease_key(of_lease)) and exists (select from capacity_lease c
            where c.id = of_lease and c.node_org = of_org and c.node = of_node and c.capacity <= n.capacity) then
            return 'ok';
        end if;
        return 'lease'; -- not to wait for the node's lock with the lease's in hand
    end if;
    perform pg_advisory_xact_lock(hashtextextended(of_org || '/' || of_node, 0));
    if more <= capacity_left(of_org, of_node, n.capacity) then
        return 'ok';
    end if;
    for l in select id from capacity_lease c where c.node_org = of_org and c.node = of_node order by id loop
        perform pg_advisory_xact_lock(730580, capacity_lease_key(l));
        delete from capacity_lease where id = l;
    end loop;
    return case when found and more <= capacity_left(of_org, of_node, n.capacity) then 'ok' else 'full' end;
end
$$;
revoke execute on function node_takes(text, text, bigint, bigint) from public;
grant execute on function node_takes(text, text, bigint, bigint) to berth_tenant;

-- For controllers that know of no leases yet.
create or replace function node_takes(of_org text, of_node text, more bigint) returns text
    language sql volatile security definer
    set search_path from current
as $$
    select node_takes(of_org, of_node, more, null)
$$;

-- A lease of an eighth of what is left, so that many controllers find something, of at most so many seats. None where that would be less
-- than at_least: the last seats are counted one by one, so that they go to whoever asks first. Nobody waits long for a node's lock here.
create function capacity_lease_take(of_org text, of_node text, at_least bigint, at_most bigint, life_ms bigint)
    returns table (lease bigint, lease_seats bigint)
    language plpgsql volatile security definer
    set search_path from current
    set lock_timeout = '100ms'
as $$
declare
    limited bigint;
    block bigint;
begin
    select capacity into limited from node where org = of_org and id = of_node and deleted_at is null and not drain;
    if not found or limited = 0 then
        return;
    end if;
    perform pg_advisory_xact_lock(hashtextextended(of_org || '/' || of_node, 0));
    block := least(capacity_left(of_org, of_node, limited) / 8, at_most);
    if block < at_least then
        return;
    end if;
    return query insert into capacity_lease (node_org, node, seats, capacity, expires_at)
        values (of_org, of_node, block, limited, clock_timestamp() + life_ms * interval '1 millisecond')
        returning id, seats;
end
$$;
revoke execute on function capacity_lease_take from public;
grant execute on function capacity_lease_take to berth_operator;

-- A scan that is merely discouraged looks so dear to the planner that it would compile the statement each time.
alter function tally_fold(bigint) set jit = off;

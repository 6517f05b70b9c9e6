-- How many reports analytics_sample takes of each org: where one has as many, it may have more.

create function analytics_share(at_most bigint) returns bigint language plpgsql stable security definer
    set search_path from current
as $$
begin
    perform analytics_begin();
    return (select at_most / greatest(count(*), 1) + 1 from org o where o.id <> 'cloud' and o.deleted_at is null);
end
$$;

revoke execute on function analytics_share from public;
grant execute on function analytics_share to berth_tenant;

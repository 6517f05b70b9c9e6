-- A node may tell that it doesn't reach another over any transport: -1 in place of the figure.
alter table node_rtt drop constraint node_rtt_rtt_us_check;
alter table node_rtt add constraint node_rtt_rtt_us_check check (rtt_us >= -1);

-- A day that was read again in its turn had a reason of its own, `sweep`; it is `reread`, as for the others.
update "@ops".stale_days as swept set reason = 'reread'
where reason = 'sweep'
and not exists (select 1 from "@ops".stale_days as other where other.day = swept.day and other.reason = 'reread');
delete from "@ops".stale_days where reason = 'sweep';

-- Compare and extend: keep the suspension only if it is still ours, or free.
-- KEYS[1] rq:suspended   ARGV[1] our token   ARGV[2] milliseconds
-- returns 'held', 'retaken' where it had lapsed, or the token of whoever has it now
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder and 'held' or 'retaken'

-- Compare and extend: suspend for some time more if the suspension still has our token, or there is none.
-- KEYS[1] rq:suspended   ARGV[1] our token   ARGV[2] milliseconds
-- returns 'held', 'retaken' where there was none, or the token of another suspension, which stays as it is
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder and 'held' or 'retaken'

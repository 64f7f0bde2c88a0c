-- Suspend, except where another suspension stands. One that an earlier helper of the same bench left behind is taken
-- over, since only one helper of a bench runs at a time.
-- KEYS[1] rq:suspended   ARGV[1] our token   ARGV[2] milliseconds   ARGV[3] the beginning of all tokens of this bench
-- returns the token of the suspension that stands now
local holder = redis.call('GET', KEYS[1])
if holder and string.sub(holder, 1, #ARGV[3]) ~= ARGV[3] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]

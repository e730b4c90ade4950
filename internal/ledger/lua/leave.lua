-- LEAVE: a worker lets go of a campaign; everything it did is recorded, and nobody need wait for it.
-- KEYS: control, workers, asserted. ARGV: worker. Answers LEFT, or STAYS.
--
-- Invariant: who has not said yet what it did to a run of Redis that may have forgotten it stays, and is waited for.
local control = redis.call('HMGET', KEYS[1], 'epoch', 'barrier')
local run = this_run()
if run ~= '' and run ~= control[1] and
  (run ~= control[2] or redis.call('SISMEMBER', KEYS[3], ARGV[1]) == 0) then
  return 'STAYS'
end
redis.call('ZREM', KEYS[2], ARGV[1])
return 'LEFT'

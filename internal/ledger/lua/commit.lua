-- COMMIT: the one way from draft to launched, after every page is written.
-- KEYS: control, counts, campaign, draft. ARGV: new state (running or scheduled), queued, invalid, skipped, definition.
-- Answers the campaign's state; the second commit finds the first and changes nothing.
--
-- Invariants: the definition, the counts and the state appear together or not at all, so that whoever sees a campaign run
-- sees the rules it was launched with, and not those of a launch that was given up; rows that a worker remembers from a
-- launch that Redis has forgotten keep what it said of them.
local clock = redis.call('TIME')
local control = redis.call('HMGET', KEYS[1], 'state', 'barrier')
if control[1] and control[1] ~= 'draft' then
  return control[1]
end
redis.call('SET', KEYS[3], ARGV[5])
redis.call('DEL', KEYS[4])
redis.call('HINCRBY', KEYS[2], 'queued', ARGV[2])
redis.call('HSET', KEYS[2], 'invalid', ARGV[3], 'skipped', ARGV[4])
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'reason', '', 'since', clock[1], 'started', clock[1],
  'generation', 1, 'fed_pages', 0, 'fed_rows', 0)
if not control[2] then -- otherwise workers of a launch that Redis has forgotten are saying what they did
  redis.call('HSET', KEYS[1], 'epoch', this_run())
end
return ARGV[1]

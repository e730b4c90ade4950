-- COMMIT: the one way from draft to launched, after every page is written.
-- KEYS: control, counts, campaign, draft. ARGV: new state (running or scheduled), queued, invalid, skipped, definition.
-- Answers the campaign's state; the second commit finds the first and changes nothing.
--
-- Invariant: the definition, the counts and the state appear together or not at all, so that whoever sees a campaign run
-- sees the rules it was launched with, and not those of a launch that was given up.
local clock = redis.call('TIME')
local state = redis.call('HGET', KEYS[1], 'state')
if state and state ~= 'draft' then
  return state
end
redis.call('SET', KEYS[3], ARGV[5])
redis.call('DEL', KEYS[4])
redis.call('HSET', KEYS[2], 'queued', ARGV[2], 'invalid', ARGV[3], 'skipped', ARGV[4])
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'reason', '', 'since', clock[1], 'started', clock[1],
  'generation', 1, 'fed_pages', 0, 'fed_rows', 0)
return ARGV[1]

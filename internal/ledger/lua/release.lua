-- RELEASE: give a claim back that provably sent nothing, by its nonce, because the claim's answer may have been lost.
-- KEYS: the nine of record.lua, then void:<nonce>. ARGV: row, nonce, how long the nonce stays void in ms, 1 if a worker
-- will look at a finished campaign that this opens again.
-- Answers RELEASED, NOT_YOURS, ASLEEP (ask again with 1) or CORRUPT.
--
-- Invariants: afterwards this nonce can never claim, even if its CLAIM is still on its way; the fence and the tries stay;
-- a claim of another nonce is not touched, nor an answer that was recorded; a claim that only outlived its deadline is
-- given back too.
local row, nonce, void, awake = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local rec = read(row)
if not rec then
  return { 'CORRUPT' }
end
redis.call('SET', KEYS[10], '1', 'PX', void)
local lost = rec.st == 'd' and rec.code == 'worker_lost'
if rec.ref ~= nonce or not (rec.st == 's' or lost) then
  return { 'NOT_YOURS' }
end
if state == 'finished' and awake ~= '1' then
  return { 'ASLEEP' }
end
write(row, rec, changed(rec, { st = 'q', ref = '' }))
if control[4] and redis.call('HGET', CONTROL, 'probe') == nonce then -- not one that began before the trial
  redis.call('HINCRBY', CONTROL, 'allow', 1)
  redis.call('HDEL', CONTROL, 'probe')
end
reopen()
return { 'RELEASED' }

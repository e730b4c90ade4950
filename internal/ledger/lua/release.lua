-- RELEASE: give a claim back that provably sent nothing, by its nonce, because the claim's answer may have been lost.
-- KEYS: the seven of record.lua, then void:<nonce>. ARGV: row, nonce, how long the nonce stays void in ms.
-- Answers RELEASED, NOT_YOURS or CORRUPT.
--
-- Invariants: afterwards this nonce can never claim, even if its CLAIM is still on its way; the fence and the tries stay;
-- a claim of another nonce is not touched.
local row, nonce, void = ARGV[1], ARGV[2], ARGV[3]
local rec = read(row)
if not rec then
  return { 'CORRUPT' }
end
redis.call('SET', KEYS[8], '1', 'PX', void)
if rec.st ~= 's' or rec.ref ~= nonce then
  return { 'NOT_YOURS' }
end
write(row, rec, changed(rec, { st = 'q', ref = '' }))
return { 'RELEASED' }

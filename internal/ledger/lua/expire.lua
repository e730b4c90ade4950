-- EXPIRE: a claim without a settle is in doubt when its deadline has gone, or its worker. Part of the sweep.
-- KEYS: the nine of record.lua, then workers. ARGV: row, ms of silence after which a worker counts as dead.
-- Answers IN_DOUBT, ALIVE or CORRUPT.
--
-- Invariants: nothing but a `sending` row whose claim is older than the silence changes; nothing is ever queued again
-- here; a worker that was only away may still settle the attempt; nobody counts as dead while Redis's own absence may be
-- why it is silent, before all have beaten in its new run.
local row, silence = ARGV[1], tonumber(ARGV[2])
local rec = read(row)
if not rec then
  return { 'CORRUPT' }
end
if rec.st ~= 's' then
  return { 'ALIVE' }
end
if now < rec.due then
  local beat = redis.call('ZSCORE', KEYS[10], string.sub(rec.ref, 1, 6))
  local run = this_run()
  if run ~= '' and run ~= control[3] then
    return { 'ALIVE' }
  end
  if not beat or now - tonumber(beat) < silence or now - tonumber(rec.at) * 1000 < silence then
    return { 'ALIVE' }
  end
end
write(row, rec, lost(rec))
return { 'IN_DOUBT' }

-- SETTLE: record what came of a claim. It is also how a worker says again what it did to a Redis that has forgotten it.
-- KEYS: the nine of record.lua, then void:<nonce>. ARGV: row, fence, letter of the new state (a f d w q, or s: under
-- way), code, ms from now to the earliest next try (w), tries so far, packed message id (a), nonce, class, took in ms,
-- reason in words, the share of first results from which on this code puts the list in doubt (0: never), absolute due in
-- ms (s, or a repeated w).
-- Answers SETTLED what else, SAME, FENCED state or CORRUPT. What else: content or suspect when the campaign must stop.
--
-- Invariants: only the row's last attempt may write, or one that the ledger has forgotten, whose fence is higher than any
-- it knows and whose row was not given out again since; a second settle with the same result changes nothing (SAME), so
-- that a lost answer can be asked again; a definite result resolves in_doubt, in_doubt never replaces one, and nothing
-- definite is settled otherwise; the late proof that a message was sent, of whichever attempt, closes a row that is open,
-- in doubt, or decided about by a person; what was released is not under way; a finished campaign whose row is open again
-- runs again.
local row, fence, to, code = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local after, tries, id, nonce = tonumber(ARGV[5]) or 0, tonumber(ARGV[6]) or 0, ARGV[7], ARGV[8]
local class, took, words, share = ARGV[9], ARGV[10], ARGV[11], tonumber(ARGV[12]) or 0
local rec = read(row)
if not rec then
  return { 'CORRUPT' }
end
local open = rec.st == 'q' or rec.st == 'w'
local proof = to == 'a' and (open or rec.st == 'd' or rec.class == 'person')
local forgotten = rec.fence < fence

-- May this attempt write? The number of its fence does not tell once Redis has forgotten it and given the row out again:
-- then another nonce bears it, or what stands there is of a later day.
local function may()
  if proof then
    return true
  end
  if forgotten then
    local since = control[3] == this_run() -- nobody is given a row before all have said what they did
    return (open or to == 'a' or not since) and (to ~= 's' or redis.call('EXISTS', KEYS[10]) == 0)
  end
  if rec.fence > fence or (rec.ref ~= nonce and to ~= 'a') then
    return false
  end
  return rec.st == 's' or (rec.st == 'd' and to ~= 's')
end

if rec.st == to and rec.fence == fence and not proof then
  return { 'SAME' }
end
if not may() then
  return { 'FENCED', NAMES[rec.st] }
end
if rec.fence ~= fence or rec.ref ~= nonce then
  put_aside(row, rec)
end
local due, ref = 0, nonce
if to == 'w' or to == 's' then
  due = tonumber(ARGV[13]) or now + after
elseif to == 'a' then
  ref = id
elseif to == 'f' then
  ref = ''
end
write(row, rec, changed(rec, { st = to, fence = math.max(fence, rec.fence), tries = tries, code = code, due = due,
  ref = ref, class = class, took = took, why = intern(words) }))
if to == 'q' or to == 'w' or to == 's' then
  reopen()
end

-- How many rows have an answer; the states that reports lead to stay zero without reports.
local function answered()
  local sum = 0
  for _, n in ipairs(redis.call('HMGET', COUNTS, 'accepted', 'sent', 'delivered', 'read', 'failed', 'in_doubt')) do
    sum = sum + (tonumber(n) or 0)
  end
  return sum
end

-- The template is wrong, and not this row's values, when three answers in a row or more than five of a hundred say so.
if to == 'f' and class == 'content' and not forgotten then
  local at = { answered() }
  for n in string.gmatch(redis.call('HGET', CONTROL, 'content') or '', '%d+') do
    at[#at + 1] = tonumber(n)
  end
  at[7] = nil
  redis.call('HSET', CONTROL, 'content', table.concat(at, ' '))
  if (at[3] and at[1] - at[3] <= 2) or (at[6] and at[1] - at[6] < 100) then
    return { 'SETTLED', 'content' }
  end
end
-- The list or the account is wrong, and not this person, when most of the first results say so.
if to == 'f' and share > 0 and not forgotten and redis.call('HEXISTS', CONTROL, 'trusted') == 0 then
  local n = answered()
  if n >= 20 and n <= 40 and tonumber(redis.call('HGET', CODES, code) or '0') >= share * n then
    return { 'SETTLED', 'suspect' }
  end
end
return { 'SETTLED', '' }

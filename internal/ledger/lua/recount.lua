-- RECOUNT: make the counts, the codes and the queues agree with the records again. A power cut may tear the append-only
-- file inside a script: half of what it wrote is then kept.
-- KEYS: the nine of record.lua. ARGV: valid rows, the last page, 1 to count whether or not this run of Redis was counted.
-- Answers COUNTED, or SAME when this run was counted before.
--
-- Invariant: only records decide; a row without one is queued. It reads every record: milliseconds per ten thousand rows.
local valid, last, force = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local run = this_run()
if not force and redis.call('HGET', CONTROL, 'recounted') == run then
  return { 'SAME' }
end
local counts, codes, queues = {}, {}, { s = {}, w = {}, d = {} }
local closed = 0
for page = 0, last do
  local key = string.gsub(ROWS, '%d+$', tostring(page))
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local st, _, _, at, due, code = string.match(all[i + 1], SHAPE)
    if st and NAMES[st] then
      closed = closed + 1
      local name = counted(st)
      counts[name] = (counts[name] or 0) + 1
      if code ~= '' then
        codes[code] = (codes[code] or 0) + 1
      end
      if queues[st] then
        table.insert(queues[st], { st == 'd' and (tonumber(at) or 0) * 1000 or tonumber(due) or 0, all[i] })
      end
    end
  end
end
local unmade = counted('q') -- of rows without a record; COMMIT adds those of a draft
counts[unmade] = (counts[unmade] or 0) + (state == 'draft' and 0 or valid) - closed
for _, name in ipairs({ 'queued', 'sending', 'waiting', 'accepted', 'failed', 'in_doubt', 'cancelled' }) do
  redis.call('HSET', COUNTS, name, string.format('%.0f', counts[name] or 0))
end
redis.call('DEL', CODES, QUEUES.s, QUEUES.w, QUEUES.d)
for code, n in pairs(codes) do
  redis.call('HSET', CODES, code, n)
end
for st, rows in pairs(queues) do
  for _, row in ipairs(rows) do
    redis.call('ZADD', QUEUES[st], string.format('%.0f', row[1]), row[2])
  end
end
redis.call('HSET', CONTROL, 'recounted', run)
return { 'COUNTED' }

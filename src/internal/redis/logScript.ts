/**
 * The one script through which everything is written to the log, and asked of it.
 *
 * The log is a stream. The id of a record is `<position>-0`; its fields are `p`, the id of the record before it; `t`, the tags
 * as a JSON array, empty for everything; `h`, the history of the server that took it.
 *
 * Invariants:
 * - An id is above the ids of all records that the stream ever had, and at least the time in microseconds.
 * - `p` names the newest record. What somebody else has written is no record, and in no chain: it cannot hide that records
 *   between are missing.
 * - Where this server cannot vouch for what was acknowledged, it first appends a root, a record without tags, above whatever
 *   may have been given out: when there is no log or no record in it; when the newest was taken by another server, or by this
 *   one before it started again; when its end was deleted; when the asker knows of a later position, or of a record
 *   that should be here and is not.
 * - Each answer is a write, so that a replica, or a master that has lost its replicas and may not write without, vouches for
 *   nothing.
 *
 * A root is an hour ahead of the clock. So it is above what a server gave out whose clock was ahead, and each is above those
 * before it, as time goes on. It is only a little above what is known: else the log would run away from the clock.
 */
import { makeScript } from "./script.ts"

/**
 * Arguments: id and predecessor of the cursor, both empty for none; highest position known; the asker's time in microseconds;
 * length of the log; records on a page; tags to append as JSON, empty for none; history of the cursor.
 *
 * Answers: time in microseconds; 1 if the cursor is in the log, or was just trimmed away; id of the newest record and
 * its predecessor; 1 if something was appended; its history, which is that of this server; records after the cursor.
 */
export const askLog = makeScript(`
local key = KEYS[1]
local cursor, previous = ARGV[1], ARGV[2]
local known, asker = tonumber(ARGV[3]), tonumber(ARGV[4])
local page, tags, past = ARGV[6], ARGV[7], ARGV[8]
local second, hour, year = 1e6, 3600e6, 365 * 24 * 3600e6

redis.call('XTRIM', key, 'MAXLEN', '~', ARGV[5])

local time = redis.call('TIME')
local now = time[1] * 1e6 + time[2]
local far = math.max(now, asker) + year

-- Who may not ask for it leaves the history as it is.
local info = redis.pcall('INFO', 'replication')
local history = type(info) == 'string' and string.match(info, 'master_replid:(%w+)') or nil
history = history and string.sub(history, 1, 16)

local function position(id)
  return tonumber(string.match(id, '^%d+'))
end

local function after(id, other)
  local a, b = position(id), position(other)
  return a > b or (a == b and tonumber(string.match(id, '%d+$')) > tonumber(string.match(other, '%d+$')))
end

-- The predecessor and the history of a record, nothing for what is none.
local function read(entry)
  local f = entry[2]
  if string.match(entry[1], '^%d+%-0$') and #f == 6 and f[1] == 'p' and f[3] == 't' and f[5] == 'h'
    and string.match(f[2], '^%d+%-%d+$') and string.match(f[4], '^%[.*%]$') then
    return f[2], f[6]
  end
end

local top, first, last = '0-0', nil, nil
local stream = redis.pcall('XINFO', 'STREAM', key)
if not stream.err then
  for i = 1, #stream, 2 do
    local name = stream[i]
    if name == 'last-generated-id' then top = stream[i + 1]
    elseif name == 'first-entry' then first = stream[i + 1] or nil
    elseif name == 'last-entry' then last = stream[i + 1] or nil end
  end
elseif not string.find(stream.err, 'no such key') then
  return stream
end

local highest = position(top)
if highest > far then
  -- Somebody has used up the positions. Nothing can be appended before they are free again.
  local near = redis.call('XREVRANGE', key, string.format('%.0f', far), '-', 'COUNT', 1)[1]
  redis.call('DEL', key)
  top, first, last = '0-0', nil, nil
  highest = near and position(near[1]) or 0
end

local newest, newestPrevious, newestHistory
if last and last[1] == top then
  newestPrevious, newestHistory = read(last)
  newest = newestPrevious and top
  if not newest then
    for _, entry in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', 100)) do
      newestPrevious, newestHistory = read(entry)
      newest = newestPrevious and entry[1]
      if newest then break end
    end
  end
end

local intact = false
if cursor ~= '' and first then
  if cursor == newest then
    intact = previous == '' or (previous == newestPrevious and past == newestHistory)
  else
    local entry = redis.call('XRANGE', key, cursor, cursor)[1]
    local before, taken
    if entry then before, taken = read(entry) end
    local oldest, since = read(first)
    -- Another server may have given the same id. Who has only the record after it knows by that, unless it ends everything.
    intact = before and (previous == '' or (previous == before and past == taken))
      or (not entry and oldest == cursor and (previous == '' or past == since or first[2][4] == '[]'))
  end
end

local function add(at, json)
  local id = string.format('%.0f-0', at)
  newestPrevious = newest or top
  redis.call('XADD', key, id, 'p', newestPrevious, 't', json, 'h', history or newestHistory or '')
  newest, top, highest, newestHistory = id, id, at, history or newestHistory or ''
end

local diverged = cursor ~= '' and not intact and first and after(cursor, first[1])
local ahead = known <= far and known > highest
if not newest or (history and history ~= newestHistory) or ahead or diverged then
  add(math.max(highest + second, now + hour, ahead and known + second or 0), '[]')
end

if tags ~= '' then
  add(math.max(highest + 1, now), tags)
end

-- What was appended right after the cursor need not be sent back.
local records = {}
if cursor == '' then
  records = redis.call('XRANGE', key, '-', '+', 'COUNT', page)
elseif intact and cursor ~= newest and not (tags ~= '' and cursor == newestPrevious) then
  records = redis.call('XRANGE', key, '(' .. cursor, '+', 'COUNT', page)
end

return { string.format('%.0f', now), intact and 1 or 0, newest, newestPrevious, tags ~= '' and 1 or 0, newestHistory, records }
`)

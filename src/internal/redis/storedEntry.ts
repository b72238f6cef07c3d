/**
 * The value at the key of an entry: a header, and what the codec made of the entry.
 *
 * Layout of the header, in bytes: `EC1` (3), position (8), time of creation by the clock of the server (8), digest of the
 * fingerprint (8), check of all that (8). Both numbers are doubles, big-endian. The header is for the script that stores: it
 * has what decides which of two entries stays, and nothing else is believed of it. So readers skip it.
 */
import { sha1 } from "@noble/hashes/legacy.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"
import type * as CacheEntry from "../../CacheEntry.ts"
import type * as CacheError from "../../CacheError.ts"
import { digest } from "../digest.ts"
import { makeScript } from "./script.ts"

/** How many bytes of a value come before those of the codec. */
export const headerBytes = 35

const magic = utf8ToBytes("EC1")
const checkedBytes = 27

/** The header of an entry that has its times by the clock of the server. */
export const makeHeader = ({ createdAt, fingerprint, position }: CacheEntry.Stored): Uint8Array => {
  const bytes = new Uint8Array(headerBytes)
  const view = new DataView(bytes.buffer)
  bytes.set(magic)
  view.setFloat64(3, position)
  view.setFloat64(11, createdAt)
  bytes.set(utf8ToBytes(digest(fingerprint).slice(0, 8)), 19)
  const checked = bytes.subarray(0, checkedBytes)
  bytes.set(utf8ToBytes(bytesToHex(sha1(checked)).slice(0, 8)), checkedBytes)
  return bytes
}

/** The time of creation in the header of a value, by the clock of the server. */
export const createdAtOf = (value: Uint8Array): number =>
  new DataView(value.buffer, value.byteOffset, headerBytes).getFloat64(11)

/** What is wrong with a value, as far as its start shows. */
export const valueProblem = (bytes: Uint8Array): CacheError.CodecError["problem"] | undefined => {
  if (bytes.length < headerBytes) return "truncated"
  return bytes[0] === magic[0] && bytes[1] === magic[1] && bytes[2] === magic[2] ? undefined : "foreign"
}

/**
 * Stores a value (argument 1) for some milliseconds (argument 2), unless the present one is to stay: 1 if it is stored, 0 if
 * not. The rule is that of `Store.set`; what is expired is not there. What is no entry, or has a damaged header, is replaced.
 *
 * The numbers are compared as numbers: Lua compares texts by the locale of the server.
 */
export const setEntry = makeScript(`
local old = redis.call('GETRANGE', KEYS[1], 0, ${headerBytes - 1})
local new = ARGV[1]
if #old == ${headerBytes} and string.sub(old, 1, 3) == 'EC1'
  and string.sub(redis.sha1hex(string.sub(old, 1, ${checkedBytes})), 1, 8) == string.sub(old, ${checkedBytes + 1}) then
  local position, created = struct.unpack('>dd', old, 4)
  local newPosition, newCreated = struct.unpack('>dd', new, 4)
  if position > newPosition then return 0 end
  if position == newPosition and created > newCreated and string.sub(old, 20, 27) == string.sub(new, 20, 27) then
    return 0
  end
end
redis.call('SET', KEYS[1], new, 'PX', ARGV[2])
return 1
`)

/**
 * Replaces a value (argument 1) by the same one with another time of its last read, for some milliseconds (argument 2): 1 if it
 * was there, 0 if not. The header of the new value has to be that of the old one.
 */
export const touchEntry = makeScript(`
local old = redis.call('GETRANGE', KEYS[1], 0, ${headerBytes - 1})
local new = ARGV[1]
if #old ~= ${headerBytes} or string.sub(old, 1, 3) ~= 'EC1' or string.sub(old, 20, 27) ~= string.sub(new, 20, 27) then
  return 0
end
local position, created = struct.unpack('>dd', old, 4)
local newPosition, newCreated = struct.unpack('>dd', new, 4)
if position ~= newPosition or created ~= newCreated then return 0 end
redis.call('SET', KEYS[1], old .. string.sub(new, ${headerBytes + 1}), 'PX', ARGV[2])
return 1
`)

/**
 * The scripts of leases. A lease is a string with an expiry, whose value is the token of its holder, with a mark at its end
 * once somebody waits: only then is a message published when it ends.
 *
 * What is no lease at the name of one is treated as one that is held, and given an end where it has none. If it is not even a
 * string, the server refuses (`WRONGTYPE`).
 */
import { type Caller, makeScript } from "./script.ts"

/** How a holder says that its lease ended. */
export type Given = "stored" | "nothing"

/** Takes a lease, or tells the token of the one who holds it. */
export const takeLease = (
  redis: Caller,
  { millis, name, token }: { readonly name: string; readonly token: string; readonly millis: number }
): Promise<string | null> => take(redis, [name], [token, millis]) as Promise<string | null>

const take = makeScript(`
local value = redis.call('GET', KEYS[1])
if not value then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false
end
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if value:sub(-1) == '+' then return value:sub(1, -2) end
return value
`)

/** Marks that somebody waits, and tells for how many milliseconds the lease is still held: negative where it is not. */
export const watchLease = (
  redis: Caller,
  { name, token }: { readonly name: string; readonly token: string }
): Promise<number> => watch(redis, [name], [token]) as Promise<number>

const watch = makeScript(`
local value = redis.call('GET', KEYS[1])
if value == ARGV[1] then
  redis.call('APPEND', KEYS[1], '+')
elseif value ~= ARGV[1] .. '+' then
  return -1
end
return redis.call('PTTL', KEYS[1])
`)

/** Keeps a lease for longer, also one that was lost and that nobody has taken since. Whether it is still held. */
export const renewLease = (
  redis: Caller,
  { millis, name, token }: { readonly name: string; readonly token: string; readonly millis: number }
): Promise<boolean> => renew(redis, [name], [token, millis]).then((held) => held === 1)

const renew = makeScript(`
local value = redis.call('GET', KEYS[1])
if not value then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
elseif value == ARGV[1] or value == ARGV[1] .. '+' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  return 0
end
return 1
`)

/** Gives a lease back, and wakes those who wait. Does nothing where it is another's by now. */
export const releaseLease = (
  redis: Caller,
  { channel, given, name, token }: {
    readonly name: string
    readonly token: string
    readonly channel: string
    readonly given: Given
  }
): Promise<unknown> => release(redis, [name], [token, channel, given])

const release = makeScript(`
local value = redis.call('GET', KEYS[1])
if value == ARGV[1] then
  redis.call('DEL', KEYS[1])
elseif value == ARGV[1] .. '+' then
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', ARGV[2], ARGV[1] .. ' ' .. ARGV[3])
end
`)

/** What a message says: whose lease ended, and how. `undefined` for one that is not ours. */
export const readWake = (message: string): { readonly token: string; readonly given: Given } | undefined => {
  const [token, given] = message.split(" ")
  return token !== undefined && (given === "stored" || given === "nothing") ? { token, given } : undefined
}

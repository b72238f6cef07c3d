/**
 * What a redis-server has done so far.
 */
import type { Redis } from "ioredis"

/** Nanoseconds of the processor. */
export const serverCpu = async (redis: Redis): Promise<number> =>
  Array.from((await redis.info("cpu")).matchAll(/used_cpu_(?:sys|user):([\d.]+)/g))
    .reduce((sum, [, seconds]) => sum + Number(seconds) * 1e9, 0)

/** Commands of everybody, without those that measure. */
export const commandsSo = async (redis: Redis): Promise<number> =>
  Array.from((await redis.info("commandstats")).matchAll(/cmdstat_(\S+?):calls=(\d+)/g))
    .filter(([, name]) => name !== "info")
    .reduce((sum, [, , calls]) => sum + Number(calls), 0)

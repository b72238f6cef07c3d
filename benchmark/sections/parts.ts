/**
 * Building blocks, each next to the plain function of the platform that does the nearest thing.
 */
import { Effect } from "effect"
import { CacheEntry, Codec, tag } from "effect-cached"
import * as MsgPackCodec from "effect-cached/MsgPackCodec"
import { Bench } from "tinybench"
import { article, articleTags, type Settings } from "../fixtures.ts"
import { type Report, time, times } from "../report.ts"

const key = `article\t{"id":7}`

export const run = async ({ quick, smoke }: Settings): Promise<Report> => {
  const body = JSON.stringify(article(7))
  const entry: CacheEntry.Stored = {
    key,
    fingerprint: "0123456789abcdef",
    body,
    head: undefined,
    tags: articleTags(7),
    position: 1,
    createdAt: 0,
    expiresAt: Infinity
  }
  const msgPack = Effect.runSync(Effect.provide(Codec.Codec, MsgPackCodec.layer()))
  const json = Effect.runSync(Effect.provide(Codec.Codec, Codec.layerJson))
  const packed = Effect.runSync(msgPack.encode(entry))
  const text = Effect.runSync(json.encode(entry))
  const encodedText = new TextEncoder().encode(JSON.stringify(entry))

  let id = 0
  const groups: Record<string, Record<string, () => unknown>> = {
    "Make a tag": {
      "template string": () => `article:${id++}:parts`,
      "tag template": () => tag`article:${id++}:parts`
    },
    "Encode an entry of 1 KB": {
      "JSON.stringify to bytes": () => Buffer.from(JSON.stringify(entry)),
      "MsgPackCodec": () => Effect.runSync(msgPack.encode(entry)),
      "Codec.layerJson": () => Effect.runSync(json.encode(entry))
    },
    "Decode an entry of 1 KB": {
      "JSON.parse from bytes": () => JSON.parse(Buffer.from(encodedText).toString()),
      "MsgPackCodec": () => Effect.runSync(msgPack.decode(packed)),
      "Codec.layerJson": () => Effect.runSync(json.decode(text))
    }
  }
  const tables = []
  for (const [title, tasks] of Object.entries(groups)) {
    const bench = new Bench({ time: smoke ? 1 : quick ? 80 : 500, warmupTime: smoke ? 1 : 50 })
    for (const [name, task] of Object.entries(tasks)) bench.add(name, task, { async: false })
    // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
    await bench.run()
    const nanos = bench.tasks.map(({ name, result }) => {
      if (!("latency" in result)) throw new Error(`${title}, ${name}: ${result.state}`)
      return { name, median: result.latency.p50 * 1e6, p75: result.latency.p75 * 1e6 }
    })
    tables.push({
      title,
      columns: ["", "median", "third quartile", "of the plain one's"],
      rows: nanos.map(({ median, name, p75 }) => [name, time(median), time(p75), times(median / nanos[0]!.median)])
    })
  }
  return {
    tables,
    goals: [],
    notes: ["Building blocks are measured by tinybench, one after the other: read them as orders of magnitude."]
  }
}

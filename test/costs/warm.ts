/**
 * What hits allocate when they have been compiled and optimised.
 */
import { Exit } from "effect"
import { CacheLive } from "effect-cached"
import { allocated } from "./counting.ts"
import { check, ids, inFiber, inTurn, open, print } from "./subjects.ts"

/** Bytes for each operation. */
export interface Warm {
  readonly fiberHit: number
  readonly routeHit: number
  readonly peek: number
}

const { articleOf, cache, close, fill, fingerprint, request, response } = await open(CacheLive)
const inputs = Array.from({ length: ids }, (_, id) => ({ id }))
const keys = inputs.map(({ id }) => `article\t{"id":${id}}`)
const works = {
  nothing: inFiber(() => Exit.void),
  fiberHit: inFiber((index) => articleOf(inputs[index % ids]!)),
  peek: inTurn((id) => cache.peek(keys[id]!, fingerprint)),
  prebuilt: inTurn((id) => request("prebuilt", id)),
  routeHit: inTurn((id) => request("cached", id))
}
await fill()
const times = 3000
for (let round = 0; round < 6; round++) {
  for (const work of Object.values(works)) {
    work(times)
    globalThis.gc!()
  }
}
const least = (work: (times: number) => void) => Math.min(...Array.from({ length: 5 }, () => allocated(times, work)))
const bytes = {
  nothing: least(works.nothing),
  fiberHit: least(works.fiberHit),
  peek: least(works.peek),
  prebuilt: least(works.prebuilt),
  routeHit: least(works.routeHit)
}
request("cached", 7)
check(response()?.headers["cache-status"] === "effect-cached; hit", "the route is hit")
await close()
print(
  {
    fiberHit: bytes.fiberHit - bytes.nothing,
    routeHit: bytes.routeHit - bytes.prebuilt,
    peek: bytes.peek
  } satisfies Warm
)

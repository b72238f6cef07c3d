import { assert, describe, it } from "@effect/vitest"
import type { Happened } from "../processes/messages.ts"
import { makeRandom } from "../random.ts"
import { check, display, type History } from "./checker.ts"

const read = (started: number, version: number, options?: { readonly strong?: boolean; readonly key?: string }) =>
  ({
    did: "read",
    key: options?.key ?? "a",
    strong: options?.strong ?? false,
    version,
    started,
    ended: started + 1
  }) satisfies Happened

const invalidated = (ended: number, version: number, options?: { readonly ok?: boolean; readonly key?: string }) =>
  ({
    did: "invalidate",
    key: options?.key ?? "a",
    version,
    ok: options?.ok ?? true,
    started: ended - 1,
    ended
  }) satisfies Happened

const rules = (...histories: ReadonlyArray<ReadonlyArray<Happened>>) =>
  check({
    histories: histories.map((happened, n) => ({ node: `n${n}`, happened })),
    maxStaleness: 100,
    newest: () => 9
  }).map(({ node, read, rule }) => `${node} ${rule} ${read.started}`)

describe("check", () => {
  it("finds a read on another process that began after the bound", () => {
    assert.deepStrictEqual(
      rules([invalidated(1000, 2)], [read(900, 1), read(1000, 1), read(1100, 1), read(1101, 1), read(1101, 2)]),
      ["n1 bound 1101"]
    )
  })

  it("lets a read go on for as long as it wants that began within the bound", () => {
    assert.deepStrictEqual(rules([invalidated(1000, 2)], [{ ...read(1099, 1), ended: 5000 }]), [])
  })

  it("finds a read on the same process that began after the invalidation had returned, also if it had failed", () => {
    assert.deepStrictEqual(
      rules(
        [invalidated(1000, 2), read(999, 1), read(1001, 1)],
        [invalidated(1000, 2, { ok: false }), read(1001, 1), read(1002, 2)]
      ),
      ["n0 own 1001", "n1 own 1001"]
    )
  })

  it("asks nothing of others after an invalidation that failed", () => {
    assert.deepStrictEqual(
      rules([invalidated(1000, 2, { ok: false })], [read(9999, 1), read(9999, 1, { strong: true })]),
      []
    )
  })

  it("finds a strong read that began after the invalidation had succeeded anywhere", () => {
    assert.deepStrictEqual(
      rules([invalidated(1000, 2)], [read(999, 1, { strong: true }), read(1001, 1, { strong: true }), read(1001, 1)]),
      ["n1 strong 1001"]
    )
  })

  it("goes by the newest version, in whatever order invalidations returned", () => {
    assert.deepStrictEqual(
      rules([invalidated(1000, 3)], [invalidated(1050, 2)], [read(1110, 2), read(1160, 3)]),
      ["n2 bound 1110"]
    )
  })

  it("keeps keys apart", () => {
    assert.deepStrictEqual(rules([invalidated(1000, 2, { key: "b" })], [read(2000, 1), read(2000, 1, { key: "b" })]), [
      "n1 bound 2000"
    ])
  })

  it("finds a version that was never written", () => {
    assert.deepStrictEqual(rules([read(1, 10), read(2, 0)]), ["n0 unwritten 1", "n0 unwritten 2"])
  })

  it("says what was read, where, and how late it was", () => {
    const [violation] = check({
      histories: [{ node: "n", happened: [invalidated(1000, 2)] }, { node: "m", happened: [read(1234.5, 1)] }],
      maxStaleness: 100,
      newest: () => 2
    })
    assert.strictEqual(
      display(violation!),
      "bound: at 1234.5 m began to read a and got version 1, 234.5 ms after version 2 was invalidated"
    )
  })

  it("finds exactly what looking at each pair of a read and an invalidation finds", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { below, pick } = makeRandom(seed)
      const histories: ReadonlyArray<History> = ["n0", "n1", "n2"].map((node) => ({
        node,
        happened: Array.from({ length: 30 }, () => {
          const key = pick(["a", "b"])
          return below(3) === 0
            ? invalidated(below(1000), 1 + below(9), { key, ok: below(3) > 0 })
            : read(below(1000), 1 + below(9), { key, strong: below(2) === 0 })
        })
      }))
      const found = check({ histories, maxStaleness: 100, newest: () => 9 })
      const expected = histories.flatMap(({ happened, node }) =>
        happened.filter((r) =>
          r.did === "read" && histories.some((other) =>
            other.happened.some((i) => {
              if (i.did !== "invalidate" || i.key !== r.key || i.version <= r.version) return false
              if (other.node === node) return i.ended < r.started
              return i.ok && i.ended < (r.strong ? r.started : r.started - 100)
            })
          )
        )
      )
      assert.deepStrictEqual(found.map(({ read }) => read), expected as never)
    }
  })
})

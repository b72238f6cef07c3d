/**
 * A file that another process writes, as those see it that read it.
 */
import * as Effect from "effect/Effect"
import { load } from "./load.ts"
import { keepAll, type Opened } from "./opened.ts"

/** Opens a file for reading. */
export const makeReader = Effect.fnUntraced(function*(opened: Opened) {
  const { files, log, memory, now, path } = opened
  // While its writer folds the journal into the file, the two may not fit together.
  const settled = Effect.gen(function*() {
    for (let tries = 0; tries < 5; tries++) {
      const found = yield* load(files, path, now(), () => Effect.undefined)
      if (found.belongs && (yield* files.version(path)) === found.disk.version) return found
    }
    return yield* load(files, path, now(), () => Effect.undefined)
  })
  const found = yield* settled
  let { disk } = found
  keepAll(opened, found.entries, log.position())

  return {
    // What the writer has dropped is not known: nothing that was held before is served any more.
    pull: Effect.gen(function*() {
      if ((yield* files.version(path)) === disk.version) return
      const changed = yield* settled
      disk = changed.disk
      const { position } = log.record([])
      memory.clear()
      keepAll(opened, changed.entries, position)
      log.tell({ _tag: "Record", tags: [], position })
    })
  }
})

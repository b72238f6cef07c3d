/**
 * Sends what is written in one turn at once.
 */

/** What is used of a socket. */
export interface Corkable {
  cork(): void
  uncork(): void
}

/**
 * Gives a function that is to be called before something is written: what is written from then on until `defer` runs what it
 * is given goes out in one piece. That is best done when all that has arrived was read: large answers come in many parts, and
 * each lets some callers ask again. The automatic pipelines of ioredis do the same for more time, and keep all commands waiting
 * for the answers to those before them. `last` is called before it goes out, and may write.
 */
export const makeCorked = (
  sockets: () => ReadonlyArray<Corkable | undefined>,
  defer: (release: () => void) => void,
  last: () => void
): () => void => {
  let corked: ReadonlyArray<Corkable | undefined> | undefined
  const release = () => {
    last()
    const held = corked ?? []
    corked = undefined
    for (const socket of held) socket?.uncork()
  }
  return () => {
    if (corked !== undefined) return
    const all = sockets()
    for (const socket of all) socket?.cork()
    corked = all
    defer(release)
  }
}

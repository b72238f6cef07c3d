/**
 * Tags that a computation collects, each once.
 */

export class Collected {
  // In code unit order: most computations have few tags, and a short list costs less than a set that is sorted in the end.
  private list: Array<string> | undefined = []
  // In place of the list, once there are many.
  private set: Set<string> | undefined = undefined
  private frozen: ReadonlyArray<string> | undefined = undefined

  /** Adds a tag. Whether it was not there before. */
  add(tag: string): boolean {
    if (!(this.list === undefined ? addTo(this.set!, tag) : insert(this.list, tag))) return false
    this.frozen = undefined
    if (this.list !== undefined && this.list.length > few) {
      this.set = new Set(this.list)
      this.list = undefined
    }
    return true
  }

  /** What was collected so far: unique, in code unit order. Nobody can change it. */
  get tags(): ReadonlyArray<string> {
    return this.frozen ??= Object.freeze(this.list === undefined ? Array.from(this.set!).toSorted() : this.list.slice())
  }
}

const few = 16

const insert = (sorted: Array<string>, tag: string): boolean => {
  let at = sorted.length
  while (at > 0 && sorted[at - 1]! >= tag) {
    if (sorted[--at] === tag) return false
  }
  sorted.splice(at, 0, tag)
  return true
}

const addTo = (set: Set<string>, tag: string): boolean => !set.has(tag) && set.add(tag).size > 0

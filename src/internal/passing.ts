/**
 * Collections for what comes and goes, many times in a second.
 *
 * V8 keeps what was deleted from a `Map` or a `Set` in memory until its next full collection: each time that one is laid out anew, its former
 * layout holds on to what was in it and to the next one. A quarter of what hits from Redis had allocated outlived its first collection.
 */

/** What has a place in a line. It is in its own object: of many thousand who wait, a place of its own would be a second one for each. */
export interface Placed<A> {
  line: object | undefined
  before: A | undefined
  after: A | undefined
}

/** A list in the order in which its members came, out of whose middle they leave at no cost. Nobody is in two lines. */
export class Line<A extends Placed<A>> {
  size = 0
  first: A | undefined = undefined
  private last: A | undefined = undefined

  join(one: A): void {
    one.line = this
    one.before = this.last
    if (this.last === undefined) this.first = one
    else this.last.after = one
    this.last = one
    this.size++
  }

  has(one: A): boolean {
    return one.line === this
  }

  /** Whether it was there. */
  leave(one: A): boolean {
    if (one.line !== this) return false
    const { after, before } = one
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.last = before
    else after.before = before
    one.line = one.before = one.after = undefined
    this.size--
    return true
  }

  /** Those who are there now. */
  get members(): ReadonlyArray<A> {
    const members: Array<A> = []
    for (let one = this.first; one !== undefined; one = one.after) members.push(one)
    return members
  }
}

/** A member of a line that is there for something else. */
export class Place<A> implements Placed<Place<A>> {
  readonly value: A
  line: object | undefined = undefined
  before: Place<A> | undefined = undefined
  after: Place<A> | undefined = undefined

  constructor(value: A) {
    this.value = value
  }
}

/** Values by keys. */
export class Table<A> {
  private readonly values: { [key: string]: A } = Object.create(null)

  get(key: string): A | undefined {
    return this.values[key]
  }

  set(key: string, value: A): void {
    this.values[key] = value
  }

  delete(key: string): void {
    delete this.values[key]
  }
}

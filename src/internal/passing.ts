/**
 * Collections for what comes and goes, many times in a second.
 *
 * V8 keeps what was deleted from a `Map` or a `Set` in memory until its next full collection: each time that one is laid out anew, its former
 * layout holds on to what was in it and to the next one. Of hits from Redis that was a fifth of the time.
 */

/** A place in a line. */
export interface Place<A> {
  readonly value: A
  before: Place<A> | undefined
  after: Place<A> | undefined
  isTaken: boolean
}

/** A list in the order in which its members came, out of whose middle they leave at no cost. */
export class Line<A> {
  first: Place<A> | undefined = undefined
  private last: Place<A> | undefined = undefined

  join(value: A): Place<A> {
    const place: Place<A> = { value, before: this.last, after: undefined, isTaken: true }
    if (this.last === undefined) this.first = place
    else this.last.after = place
    this.last = place
    return place
  }

  /** Whether the place was taken. */
  leave(place: Place<A>): boolean {
    if (!place.isTaken) return false
    const { after, before } = place
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.last = before
    else after.before = before
    place.isTaken = false
    place.before = undefined
    place.after = undefined
    return true
  }

  /** Those that are in it now. */
  get members(): ReadonlyArray<A> {
    const members: Array<A> = []
    for (let place = this.first; place !== undefined; place = place.after) members.push(place.value)
    return members
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

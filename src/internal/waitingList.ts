/**
 * Who waits for a flight, in the order in which they came.
 *
 * The place of each is in its own object. A set would be a table beside many thousand of them, made anew whenever it has doubled.
 */

/** What has a place in a list. */
export interface Placed<W> {
  list: object | undefined
  before: W | undefined
  after: W | undefined
}

export class WaitingList<W extends Placed<W>> {
  size = 0
  first: W | undefined = undefined
  private last: W | undefined = undefined

  add(one: W): void {
    one.list = this
    one.before = this.last
    if (this.last === undefined) this.first = one
    else this.last.after = one
    this.last = one
    this.size++
  }

  has(one: W): boolean {
    return one.list === this
  }

  /** Whether it was there. */
  delete(one: W): boolean {
    if (one.list !== this) return false
    const { after, before } = one
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.last = before
    else after.before = before
    one.list = one.before = one.after = undefined
    this.size--
    return true
  }

  /** Those who are there now. */
  toArray(): ReadonlyArray<W> {
    const all: Array<W> = []
    for (let one = this.first; one !== undefined; one = one.after) all.push(one)
    return all
  }
}

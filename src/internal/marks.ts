/**
 * The state behind `DependencyGraph`.
 *
 * Invariants:
 * - A subject with a tag or ancestor whose newest record is above its position is invalid, and stays so.
 * - Whatever forgets a record raises `floor` to at least its position; `floor` never falls.
 * - `revision` grows with every change that could make a valid subject invalid. `recent` holds, for each of the last
 *   changes, the tags it was about; changes of the floor and of the root are about no tag, because they are checked for
 *   every subject.
 */
import { coversAny } from "./tagText.ts"

interface Subject {
  readonly tags: ReadonlyArray<string>
  readonly position: number
  revision: number
}

interface Started {
  readonly tags: ReadonlyArray<string>
  readonly position: number
  readonly since: number
  untouchedAt: number
}

export const makeMarks = (maxMarks: number, maxRecent: number) => {
  // Only tags that were ever invalidated, oldest record first.
  const last = new Map<string, number>()
  let newest: string | undefined
  // How often each tag is held invalid, and the revision that the last hold made.
  const held = new Map<string, number>()
  const heldSince = new Map<string, number>()
  const recent: Array<ReadonlyArray<string>> = []
  let heldRoot = 0
  let rootSince = 0
  let lost = true
  // Whether there was a gap: from where on everything is known.
  let known = false
  let floor = 0
  let position = 0
  // No two graphs have a revision in common: a subject may be asked about in several.
  const firstRevision = ++graphs * 2 ** 32
  let revision = firstRevision

  const changed = (tags: ReadonlyArray<string>) => {
    revision++
    recent[revision % maxRecent] = tags
  }

  const isValid = (subject: Subject): boolean => {
    if (subject.revision === revision) return true
    if (lost || heldRoot > 0 || subject.position < floor) return false
    const changes = revision - subject.revision
    const few = changes > 0 && subject.revision >= firstRevision && changes <= maxRecent &&
      changes <= subject.tags.length
    if (few ? touchedSince(subject) : touched(subject)) return false
    subject.revision = revision
    return true
  }

  const touchedSince = ({ position, revision: since, tags }: Subject): boolean => {
    for (let change = since + 1; change <= revision; change++) {
      for (const tag of recent[change % maxRecent]!) {
        if (coversAny(tag, tags) && (held.has(tag) || (last.get(tag) ?? 0) > position)) return true
      }
    }
    return false
  }

  const touched = ({ position, tags }: Subject): boolean =>
    hasAbove(last, tags, position) || hasAbove(heldSince, tags, 0)

  const isUntouched = (started: Started): boolean => {
    if (started.untouchedAt === revision) return true
    const { position, since, tags } = started
    if (position < floor || (heldRoot > 0 && rootSince > since)) return false
    if (hasAbove(last, tags, position) || hasAbove(heldSince, tags, since)) return false
    started.untouchedAt = revision
    return true
  }

  const raise = (to: number) => {
    if (to > position) position = to
    if (to > floor) {
      floor = to
      for (const [tag, at] of last) if (at <= to) last.delete(tag)
    }
    changed(nothing)
  }

  const forgetOldest = () => {
    for (const [tag, oldest] of last) {
      if (last.size <= maxMarks) break
      last.delete(tag)
      if (oldest > floor) floor = oldest
    }
  }

  return {
    isValid,
    isUntouched,
    revision: () => revision,
    position: () => position,
    floor: () => lost ? Infinity : floor,
    apply: ({ position: at, tags }: { readonly tags: ReadonlyArray<string>; readonly position: number }) => {
      if (tags.length === 0) return raise(at)
      if (at > position) position = at
      if (at <= floor) return
      let news = false
      for (const tag of tags) {
        if ((last.get(tag) ?? 0) >= at) continue
        news = true
        // Deleting first keeps the map in the order of the newest records.
        if (tag !== newest) last.delete(tag)
        last.set(newest = tag, at)
      }
      if (!news) return
      changed(tags)
      if (last.size > maxMarks) forgetOldest()
    },
    gap: (to: number) => {
      lost = false
      known = true
      raise(to)
    },
    lose: () => {
      lost = true
      changed(nothing)
    },
    resume: () => {
      // What was valid when it was lost and was not touched since is valid again, as if it had never been asked about.
      if (!lost || !known) return
      lost = false
      changed(nothing)
    },
    hold: (tags: ReadonlyArray<string>) => {
      changed(tags)
      if (tags.length === 0) {
        heldRoot++
        rootSince = revision
      }
      for (const tag of tags) {
        held.set(tag, (held.get(tag) ?? 0) + 1)
        heldSince.set(tag, revision)
      }
      let released = false
      return {
        release: () => {
          if (released) return
          released = true
          if (tags.length === 0) heldRoot--
          for (const tag of tags) {
            const count = held.get(tag)! - 1
            if (count > 0) held.set(tag, count)
            else {
              held.delete(tag)
              heldSince.delete(tag)
            }
          }
        }
      }
    }
  }
}

let graphs = 0
const nothing: ReadonlyArray<string> = []

// Whether `marks` has a value above `position` for one of the tags or their ancestors. With fewer marks than tags it is
// cheaper to look for each mark among the tags than for each tag among the marks.
const hasAbove = (marks: ReadonlyMap<string, number>, tags: ReadonlyArray<string>, position: number): boolean => {
  if (marks.size < tags.length) {
    for (const [tag, at] of marks) if (at > position && coversAny(tag, tags)) return true
    return false
  }
  for (const tag of tags) {
    for (let end = tag.indexOf(":"); end !== -1; end = tag.indexOf(":", end + 1)) {
      if ((marks.get(tag.slice(0, end)) ?? 0) > position) return true
    }
    if ((marks.get(tag) ?? 0) > position) return true
  }
  return false
}

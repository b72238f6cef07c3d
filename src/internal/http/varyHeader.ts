/**
 * The `Vary` header field (RFC 9110, section 12.5.5), and the selection of a stored response by it (RFC 9111, section 4.1).
 */

/** The lowercase names of the request headers that a response depends on; `"*"` where no header can tell. */
export const varyNames = (value: string | undefined): ReadonlyArray<string> | "*" => {
  const names = new Set<string>()
  for (const member of value?.split(",") ?? []) {
    const name = member.trim().toLowerCase()
    if (name === "*") return "*"
    if (name !== "") names.add(name)
  }
  return Array.from(names)
}

/**
 * One form for all values of a request header that mean the same, as far as the field itself defines that. `undefined`, a
 * header that is not there, matches nothing but itself.
 *
 * - `accept-encoding`, `accept-language`, `accept-charset` (RFC 9110, sections 12.5.2 to 12.5.4): lists of names in any case, with
 *   weights. Whitespace, and how a weight is written, do not count. Members stand by their weights, those with equal weights as
 *   they were: there are servers that read an order of preference from it.
 * - Any other: the value itself. What whitespace and case mean in it is not known.
 *
 * Several lines of one header arrive here joined by `, `, which is what they mean (RFC 9110, section 5.3).
 */
export const normalised = (name: string, value: string | undefined): string | undefined =>
  value !== undefined && weighted.has(name) ? ofWeighted(value) ?? value : value

const weighted = new Set(["accept-charset", "accept-encoding", "accept-language"])

// A name, and perhaps a weight between 0 and 1 with at most three decimals (RFC 9110, section 12.4.2).
const weightedMember = /^([\w!#$%&'*+.^`|~-]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?$/

const ofWeighted = (value: string): string | undefined => {
  const members: Array<{ readonly text: string; readonly weight: number }> = []
  for (const member of value.split(",")) {
    const trimmed = member.trim()
    if (trimmed === "") continue
    const match = weightedMember.exec(trimmed)
    if (match === null) return undefined
    const weight = Number(match[2] ?? 1)
    const name = match[1]!.toLowerCase()
    members.push({ text: weight === 1 ? name : `${name};q=${weight}`, weight })
  }
  return members.toSorted((one, other) => other.weight - one.weight).map(({ text }) => text).join(",")
}

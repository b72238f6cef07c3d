/**
 * The checksum of texts, as 8 hexadecimal digits: FNV-1a of their UTF-16 code units, each text after its length, and the
 * last step of MurmurHash3, which spreads every bit over all digits. Where one unit differs it always differs.
 *
 * Each entry of a file and each line of a journal has one, so it has to be cheap. It tells accidents and edits, no attacks.
 */
export const checksum = (texts: ReadonlyArray<string>): string => {
  let hash = 0x811c9dc5
  for (const text of texts) {
    hash = Math.imul(hash ^ text.length, prime)
    for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), prime)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0).toString(16).padStart(8, "0")
}

const prime = 0x01000193

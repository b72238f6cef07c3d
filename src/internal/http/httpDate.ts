/**
 * Dates of HTTP (RFC 9110, section 5.6.7).
 */
import * as DateTime from "effect/DateTime"

/**
 * The milliseconds since the epoch of a date in one of the three forms, `undefined` for any other text, also for one with
 * another zone than GMT. Case does not count (RFC 9111, section 4.2). `now` decides the century of a year with two digits: it
 * is the last that is not more than 50 years in the future.
 */
export const parseHttpDate = (text: string, now: number): number | undefined => {
  const imf = imfFixdate.exec(text)
  if (imf !== null) return millisOf(Number(imf[3]), imf[2]!, Number(imf[1]), imf[4]!)
  const asctime = asctimeDate.exec(text)
  if (asctime !== null) return millisOf(Number(asctime[4]), asctime[1]!, Number(asctime[2]), asctime[3]!)
  const rfc850 = rfc850Date.exec(text)
  if (rfc850 === null) return undefined
  const latest = DateTime.getPartUtc(DateTime.makeUnsafe(now), "year") + 50
  const year = latest - (latest - Number(rfc850[3])) % 100
  return millisOf(year, rfc850[2]!, Number(rfc850[1]), rfc850[4]!)
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
const month = `(${months.join("|")})`
const day = "(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat)"
const time = "(\\d\\d:\\d\\d:\\d\\d)"
const longDay = "(?:Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day"

const imfFixdate = new RegExp(`^${day}, (\\d\\d) ${month} (\\d{4}) ${time} GMT$`, "i")
const rfc850Date = new RegExp(`^${longDay}, (\\d\\d)-${month}-(\\d\\d) ${time} GMT$`, "i")
const asctimeDate = new RegExp(`^${day} ${month} (\\d\\d| \\d) ${time} (\\d{4})$`, "i")

const millisOf = (year: number, name: string, day: number, time: string): number | undefined => {
  const [hour, minute, second] = time.split(":").map(Number) as [number, number, number]
  // A leap second has the number 60. `Date.UTC` takes the first hundred years for others.
  if (day === 0 || hour > 23 || minute > 59 || second > 60 || year < 100) return undefined
  const index = months.indexOf(name.toLowerCase())
  // The 31st of a short month would be the first of the next.
  return Date.UTC(year, index, day) < Date.UTC(year, index + 1)
    ? Date.UTC(year, index, day, hour, minute, second)
    : undefined
}

/** The preferred form, in whole seconds. */
export const formatHttpDate = (millis: number): string => DateTime.toDateUtc(DateTime.makeUnsafe(millis)).toUTCString()

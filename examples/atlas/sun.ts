/**
 * Day and night at a place: a little astronomy, good to some minutes.
 */
import { DateTime, Schema } from "effect"
import type { Point } from "./Atlas.ts"

/** Whether the sun is up at a place, and when that changes. */
export class Sun extends Schema.Class<Sun>("Sun")({
  isUp: Schema.Boolean,
  /** Where the sun does not rise or set on that day, as near the poles: when it is worth asking again. */
  until: Schema.DateTimeUtcFromString
}) {}

/** The sun at a place and a time, in milliseconds since the epoch. */
export const sunAt = ({ latitude, longitude }: Point, now: number): Sun => {
  const days = now / day
  const declination = -tilt * Math.cos(turn * (days + 10) / year)
  // All times of the day are parts of it: from -0.5, the midnight before, to 0.5.
  const time = fractionOf(days + longitude / 360) - 0.5
  const sunset = Math.acos(between(-1, 1, -Math.tan(latitude / 360 * turn) * Math.tan(declination))) / turn
  const isUp = Math.abs(time) < sunset
  const next = isUp ? sunset : time < 0 ? -sunset : 1 - sunset
  return new Sun({ isUp, until: DateTime.makeUnsafe(Math.ceil(now + (next - time) * day)) })
}

const day = 24 * 60 * 60 * 1000
/** In days, from one first of January to the next. */
const year = 365.2425
const turn = 2 * Math.PI
/** Of the axis of the earth. */
const tilt = 23.44 / 360 * turn

const fractionOf = (value: number): number => value - Math.floor(value)

const between = (minimum: number, maximum: number, value: number): number => Math.min(maximum, Math.max(minimum, value))

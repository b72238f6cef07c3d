/**
 * Inputs as they come in a path or a query: as text. `?limit=10`, `?limit=010` and no limit at all are the same input, and
 * so the same entry.
 */
import { Effect, Schema } from "effect"

export const Natural = Schema.FiniteFromString.pipe(Schema.decodeTo(Schema.Natural))

/** How many lines there may be, 10 where nothing is said. */
export const Limit = Natural.check(Schema.isBetween({ minimum: 1, maximum: 1000 })).pipe(
  Schema.withDecodingDefaultKey(Effect.succeed("10"))
)

import { Context, Effect } from "effect"
import { CurrentFlight } from "../../src/internal/flight.ts"

/** The innermost computation in which a fiber runs. */
export const theFlight: Effect.Effect<object> = Effect.withFiber((fiber) => {
  const { flight } = Context.get(fiber.context as Context.Context<CurrentFlight>, CurrentFlight)
  return Effect.succeed(flight)
})

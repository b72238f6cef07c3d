/**
 * What a handler adds to the response of its request, which is not in the response that it returns:
 * `HttpEffect.appendPreResponseHandler`, and what is made of it, as `HttpApiBuilder.securitySetCookie`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

interface State {
  preResponseHandler: unknown
  loggerDisabled: boolean
}

// Only `effect` has the class of this service, so it is found by its key.
const RequestState = Context.Service<State>("effect/http/HttpEffect/CurrentRequestState")

/** A handler that tells whether it has added something. */
export interface Watched<A, E, R> {
  readonly handler: Effect.Effect<A, E, R>
  readonly hasAdded: () => boolean
}

/**
 * Watches a handler of the request whose services these are. What others add to the same request, while it runs or in the background of
 * its response, does not count.
 */
export const watchAdded = <A, E, R>(
  context: Context.Context<never>,
  handler: Effect.Effect<A, E, R>
): Watched<A, E, R> => {
  const state = Context.getOrUndefined(context, RequestState)
  if (state === undefined) return { handler, hasAdded: () => false }
  let hasAdded = false
  // All goes to the request, as it would without the cache.
  const watched: State = {
    get preResponseHandler() {
      return state.preResponseHandler
    },
    set preResponseHandler(added) {
      hasAdded = true
      state.preResponseHandler = added
    },
    get loggerDisabled() {
      return state.loggerDisabled
    },
    set loggerDisabled(isDisabled) {
      state.loggerDisabled = isDisabled
    }
  }
  return { handler: Effect.provideService(handler, RequestState, watched), hasAdded: () => hasAdded }
}

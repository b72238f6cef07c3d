/**
 * What a handler adds to the response of its request, which is not in the response that it returns:
 * `HttpEffect.appendPreResponseHandler`, and what is made of it, as `HttpApiBuilder.securitySetCookie`.
 */
import * as Context from "effect/Context"

// Only `effect` has the class of this service, so it is found by its key.
const RequestState = Context.Service<{ readonly preResponseHandler: unknown }>(
  "effect/http/HttpEffect/CurrentRequestState"
)

/** Tells whether something has been added since then to the response of the request whose services these are. */
export const watchAdded = (context: Context.Context<never>): () => boolean => {
  const state = Context.getOrUndefined(context, RequestState)
  const before = state?.preResponseHandler
  return () => state?.preResponseHandler !== before
}

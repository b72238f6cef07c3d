/**
 * The log of the command: plain lines on stderr.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stdio from "effect/Stdio"

/** Stdout is for what the command was asked for. On a terminal a line is cleared before, for there may be a bar. */
export const layer: Layer.Layer<never, never, Stdio.Stdio> = Layer.unwrap(Effect.gen(function*() {
  const { stderrIsTerminal } = yield* Stdio.Stdio
  return Logger.layer([Logger.withConsoleError(makeLogger((yield* stderrIsTerminal) ? clearBelow : ""))])
}))

const clearBelow = "\r\u001b[J"

const makeLogger = (before: string) =>
  Logger.make<unknown, string>(({ cause, logLevel, message }) => {
    const said = (Array.isArray(message) ? message : [message]).map((part) =>
      typeof part === "string" ? part : Formatter.format(part)
    )
    const why = cause.reasons.length === 0 ? [] : [Cause.pretty(cause)]
    const level = logLevel === "Info" ? [] : [`${logLevel.toLowerCase()}:`]
    return before + [...level, ...said, ...why].join(" ")
  })

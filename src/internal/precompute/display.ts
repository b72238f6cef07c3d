/**
 * Shows a run: as a line at the foot of a terminal, or in the log.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import { type Counts, type Progress, type Summary, Watch } from "./progress.ts"
import {
  barLine,
  handled,
  interruptedText,
  moreText,
  noteText,
  outsideText,
  progressText,
  summaryTexts
} from "./wording.ts"

/**
 * Runs the stream and shows how far it is, until its summary is there.
 *
 * Where stderr is a terminal, as `Stdio` says, a line is redrawn ten times a second; where it is not, the log has a line
 * every ten seconds. A failure is logged at once, up to `limit` times, and then only how often; so is what differs or is
 * outside the domain, at most 20 times each. The summary is logged at the end.
 */
export const display = Effect.fnUntraced(function*<E, R>(
  progress: Stream.Stream<Progress, E, R>,
  limit: number = maxNotes
): Effect.fn.Return<Summary, E, R> {
  const { clear, interval, show } = yield* makeScreen
  const beyond = { Failed: -limit, Different: -Math.min(limit, maxNotes), Outside: -Math.min(limit, maxNotes) }
  let outsideStays = false
  let counts: Counts | undefined
  let summary: Summary | undefined

  const outer = yield* Watch
  // When a step is read the run may be further.
  const advance = (next: Counts) => {
    if (counts === undefined || handled(next) >= handled(counts)) counts = next
    outer(counts)
  }
  const noteOf = (step: Progress): Effect.Effect<void> | undefined => {
    advance(step._tag === "Finished" ? step.summary.counts : step.counts)
    if (step._tag === "Finished") summary = step.summary
    if (step._tag === "Outside" && !step.removed) outsideStays = true
    switch (step._tag) {
      case "Failed":
      case "Different":
      case "Outside":
        return ++beyond[step._tag] > 0 ? undefined : logs[step._tag](noteText(step))
      default:
        return undefined
    }
  }

  const run = Stream.runForEachArray(progress, (steps) => {
    const notes = steps.map(noteOf).filter((note) => note !== undefined)
    return notes.length === 0 ? Effect.void : Effect.andThen(clear, Effect.all(notes, { discard: true }))
  }).pipe(Effect.provideService(Watch, advance))
  const draw = Effect.forever(Effect.andThen(Effect.suspend(() => show(counts)), Effect.sleep(interval)))
  yield* Effect.scoped(Effect.andThen(Effect.forkScoped(draw), run)).pipe(
    Effect.ensuring(clear),
    Effect.onInterrupt(() => Effect.logWarning(interruptedText(counts)))
  )
  for (const kind of ["Failed", "Different", "Outside"] as const) {
    if (beyond[kind] > 0) yield* logs[kind](moreText(kind, beyond[kind]))
  }
  if (outsideStays) yield* Effect.logInfo(outsideText)
  // The last element of a run that comes to its end.
  const result = summary!
  yield* logAll(
    summaryTexts(result),
    result.complete && result.counts.failed === 0 ? Effect.logInfo : Effect.logWarning
  )
  return result
})

const maxNotes = 20

// An entry outside the domain is no mistake: a live call may have made it.
const logs = { Failed: Effect.logWarning, Different: Effect.logWarning, Outside: Effect.logInfo }

const logAll = (texts: ReadonlyArray<string>, log: (text: string) => Effect.Effect<void>) =>
  Effect.forEach(texts, (text) => log(text), { discard: true })

interface Screen {
  readonly interval: Duration.Input
  readonly show: (counts: Counts | undefined) => Effect.Effect<void>
  readonly clear: Effect.Effect<void>
}

const makeScreen: Effect.Effect<Screen> = Effect.gen(function*() {
  const stdio = Option.getOrUndefined(yield* Effect.serviceOption(Stdio.Stdio))
  if (stdio === undefined || !(yield* stdio.stderrIsTerminal)) return logScreen()
  const columns = Option.match(yield* Effect.serviceOption(Terminal.Terminal), {
    onNone: () => Effect.succeed(0),
    onSome: (terminal) => terminal.columns
  })
  // A terminal that is gone does not end the run.
  const write = (text: string) => Effect.ignore(Stream.run(Stream.succeed(text), stdio.stderr()))
  return {
    interval: "100 millis",
    show: (counts) =>
      Effect.flatMap(
        columns,
        (columns) => write(`${clearBelow}\n${barLine(counts, columns > 0 ? columns : defaultColumns)}${lineUp}\r`)
      ),
    clear: write(clearBelow)
  }
})

// The cursor waits on an empty line above the bar: whatever else is printed meanwhile begins there, and the next bar is
// drawn below it.
const clearBelow = "\r\u001b[J"
const lineUp = "\u001b[A"
const defaultColumns = 80

const logScreen = (): Screen => {
  let logged: Counts | undefined
  return {
    interval: "10 seconds",
    show: (counts) =>
      Effect.suspend(() => {
        if (counts === undefined || counts === logged) return Effect.void
        logged = counts
        return Effect.logInfo(progressText(counts))
      }),
    clear: Effect.void
  }
}

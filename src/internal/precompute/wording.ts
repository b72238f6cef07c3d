/**
 * What people read of a run: a line that is drawn again and again, and sentences for the log.
 */
import * as Cause from "effect/Cause"
import * as Formatter from "effect/Formatter"
import type { Counts, FunctionSummary, Note, Summary } from "./progress.ts"

/** The inputs that are done with. */
export const handled = ({ computed, excluded, failed, present }: Counts): number =>
  computed + present + failed + excluded

/** One line that fits into a terminal of so many columns. What matters least is left out where it is too long. */
export const barLine = (counts: Counts | undefined, columns: number): string => {
  // The last column stays free: some terminals begin a new line once it is written.
  const width = Math.max(columns - 1, 0)
  if (counts === undefined) return "precomputing…".slice(0, width)
  const share = shareOf(counts)
  const head = `${String(Math.floor(share * 100)).padStart(3)}%`
  const rest = [
    `${grouped(handled(counts))}/${grouped(counts.total)}`,
    ...(counts.failed > 0 ? [`${grouped(counts.failed)} failed`] : []),
    ...leftOf(counts),
    `${rateOf(counts)}/s`
  ]
  while (rest.length > 1 && `${head} ${rest.join(" · ")}`.length > width) rest.pop()
  const text = rest.join(" · ")
  const room = Math.min(width - head.length - text.length - 2, 40)
  if (room < 8) return `${head} ${text}`.slice(0, width)
  const full = Math.floor(share * room)
  return `${head} ${"█".repeat(full)}${"░".repeat(room - full)} ${text}`
}

// Below 1 until all is done.
const shareOf = (counts: Counts): number => counts.total === 0 ? 1 : Math.min(handled(counts) / counts.total, 1)

const leftOf = ({ remaining }: Counts): ReadonlyArray<string> =>
  remaining === undefined ? [] : [`${duration(Math.ceil(remaining / 1000) * 1000)} left`]

const rateOf = ({ rate }: Counts): string => rate < 10 ? rate.toFixed(1) : grouped(Math.round(rate))

/** A whole number with commas. */
export const grouped = (n: number): string =>
  Number.isSafeInteger(n) ? String(n).replace(/\B(?=(\d{3})+$)/g, ",") : String(n)

/** A time in its two largest units. */
export const duration = (millis: number): string => {
  if (millis < 999.5) return `${Math.round(millis)} ms`
  if (millis < 9950) return `${Number((millis / 1000).toFixed(1))} s`
  const seconds = Math.round(millis / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  const hours = Math.round(minutes / 60)
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** How far a run is, for a log. */
export const progressText = (counts: Counts): string =>
  [
    `Precomputing: ${grouped(handled(counts))} of ${inputs(counts.total)} (${Math.floor(shareOf(counts) * 100)}%)`,
    ...(counts.failed > 0 ? [`${grouped(counts.failed)} failed`] : []),
    `${rateOf(counts)} per second`,
    ...leftOf(counts)
  ].join(", ")

const inputs = (n: number): string => `${grouped(n)} ${n === 1 ? "input" : "inputs"}`

/** What is said of an input or an entry: a sentence. */
export const noteText = (step: Note): string => {
  switch (step._tag) {
    case "Failed":
      return `${callText(step.function, step.input)} failed: ${causeText(step.cause)}`
    case "Different":
      return `${callText(step.function, step.input)} is now ${shorten(step.computed)}; stored is ${
        shorten(step.stored)
      }`
    case "Outside":
      // In a key the text of the input follows the name.
      return `${callOf(step.function, step.key.slice(step.function.length + 1))} ${
        step.removed ? "was outside the domain: removed" : "is stored and outside the domain"
      }`
  }
}

const callText = (name: string, input: unknown): string => callOf(name, Formatter.format(input))

const callOf = (name: string, input: string): string => `${name}(${input === "{}" ? "" : shorten(input)})`

const shorten = (text: string): string => text.length > 300 ? `${text.slice(0, 300)}…` : text

/** Why something failed. An expected error is its message; a defect comes with the place where it was thrown. */
export const causeText = (cause: Cause.Cause<unknown>): string => {
  const texts = cause.reasons.filter((reason) => !Cause.isInterruptReason(reason)).map((reason) =>
    Cause.isFailReason(reason) ? errorText(reason.error) : Cause.pretty(Cause.fromReasons([reason]))
  )
  return texts.length === 0 ? "it was interrupted" : [...new Set(texts)].join("; ")
}

/** What an error says of itself, and of what caused it. Causes may go round in circles. */
export const errorText = (error: unknown, depth = 5): string => {
  if (!(error instanceof Error)) return typeof error === "string" ? error : Formatter.format(error)
  const { cause, message } = error
  const name = "_tag" in error ? String(error._tag) : error.name
  const fields = Object.fromEntries(Object.entries(error).filter(([key]) => !isKnown.has(key)))
  const said = message === "" && Object.keys(fields).length > 0 ? Formatter.format(fields) : message
  const text = said === "" ? name : isPlain.has(name) ? said : `${name}: ${said}`
  const because = cause === undefined || depth === 0 ? "" : errorText(cause, depth - 1)
  return because === "" || text.includes(because) ? text : `${text}: ${because}`
}

const isKnown = new Set(["_tag", "name", "message", "stack", "cause"])
// Names that say nothing, before messages that say it all.
const isPlain = new Set(["Error", "CacheError"])

/** How many of a kind went beyond the limit, where some did. */
export const moreText = (kind: Note["_tag"], beyond: number): string => {
  const are = beyond === 1 ? "is" : "are"
  const what = { Failed: "failed", Different: `${are} different now`, Outside: `${are} outside the domain` }
  return `and ${grouped(beyond)} more ${what[kind]}`
}

/** What can be done about entries outside the domain that are still there. */
export const outsideText = "What is outside the domain stays stored: prune \"remove\" (--prune remove) takes it out"

/** What is left to say where a run was interrupted. */
export const interruptedText = (counts: Counts | undefined): string =>
  `Precomputing was interrupted${
    counts === undefined ? "" : ` after at least ${grouped(handled(counts))} of ${inputs(counts.total)}`
  }: the next run goes on from there`

/** What came out of a run: a line for each function, and one for all. */
export const summaryTexts = (summary: Summary): ReadonlyArray<string> => [
  ...summary.functions.map(functionText),
  endText(summary)
]

const endText = ({ complete, counts, stopped }: Summary): string => {
  const done = complete ? inputs(counts.total) : `${grouped(handled(counts))} of ${inputs(counts.total)}`
  const took = `${done} in ${duration(counts.elapsed)}`
  if (stopped === "time") return `${took}, then the time budget was used up: the next run goes on from there`
  if (stopped === "failure") return `${took}, then the first failure stopped the run: the next run goes on from there`
  if (counts.failed > 0) {
    return `${took}, ${grouped(counts.failed)} failed: the next run tries ${counts.failed === 1 ? "it" : "them"} again`
  }
  return counts.computed === 0 ? `${took}, nothing to compute` : `Precomputed ${took}`
}

const functionText = ({ because, counts, name }: FunctionSummary): string => {
  const reasons = Object.entries(because).filter(([, n]) => n > 0)
  const why = reasons.every(([reason]) => reason === "missing")
    ? ""
    : ` (${reasons.map(([reason, n]) => `${grouped(n)} ${reason}`).join(", ")})`
  const parts = [
    counts.computed > 0 ? `${grouped(counts.computed)} computed${why}` : "",
    counts.present > 0 ? `${grouped(counts.present)} present` : "",
    counts.different > 0 ? `${grouped(counts.different)} of them different now` : "",
    counts.failed > 0 ? `${grouped(counts.failed)} failed` : "",
    counts.excluded > 0 ? `${grouped(counts.excluded)} excluded` : "",
    counts.outside > 0 ? `${grouped(counts.outside)} outside the domain` : ""
  ].filter((part) => part !== "")
  return `${name}: ${parts.length === 0 ? "nothing to do" : parts.join(", ")}`
}

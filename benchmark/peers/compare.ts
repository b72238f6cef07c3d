/**
 * One work, done by several candidates in one run, in turns.
 */
import type { Settings } from "../fixtures.ts"
import { type Distribution, distribution, paired, ratio, type Samples } from "../paired.ts"
import { cells, type Figure, row, type Table, time, times, whole } from "../report.ts"

/** What a table says of a candidate. */
export interface Described {
  /** `bentocache, memory`. */
  readonly name: string
  /** This library. */
  readonly own?: boolean
  /** A floor or a bare part, not a candidate. */
  readonly control?: boolean
  /** What it guarantees while it does this work. What it does not guarantee, the table says. */
  readonly gives: Guarantees
  /** What else makes the comparison unequal, empty if nothing does: `writes to Redis in the background`. */
  readonly differs: string
}

export interface Subject extends Described {
  /** One short sample: nanoseconds per operation, or bytes. */
  readonly sample: () => Promise<number>
  /** Nanoseconds of single operations, one after the other. */
  readonly latencies?: ((count: number) => Promise<ReadonlyArray<number>>) | undefined
  readonly close?: (() => Promise<void>) | undefined
}

export interface Guarantees {
  /** Concurrent callers of one key share one computation. */
  readonly singleFlight: boolean
  /** Entries can be invalidated together by a tag. */
  readonly tags: boolean
  /** No caller can change what another caller gets: each gets a copy, or a value that nobody can change. */
  readonly copies: boolean
  /** What comes back has the types of what went in: a Date is a Date, a class its class. */
  readonly typed: boolean
}

export interface Options {
  readonly title: string
  readonly subjects: ReadonlyArray<Subject>
  readonly settings: Settings
  /** How long the rounds may take all together. */
  readonly millis: number
  /** What the samples are. A time without it. */
  readonly unit?: "time" | "bytes" | undefined
  /** The subject to which the others are compared: this library, in the way it is used for this work. */
  readonly control: string
  /** The scale of the figure, linear without it. */
  readonly scale?: "linear" | "log" | undefined
  /** How many rounds there are at most, without it 25 in a quick run and 80 else. */
  readonly rounds?: number | undefined
  /** How many rounds before those are not counted, 4 without it. */
  readonly warmups?: number | undefined
  /** How many single operations of each subject are measured for p99, at least 1 000; 2 000 in a quick run and 10 000 else. */
  readonly operations?: number | undefined
}

export interface Comparison {
  readonly table: Table
  readonly figures: ReadonlyArray<Figure>
  readonly samples: Samples
  /** The name of the candidate with the least median, this library and the controls not counted. */
  readonly fastest: (filter?: (subject: Described) => boolean) => string
  /** What the table says of a candidate. */
  readonly differs: (name: string) => string
  /** What one subject takes of another, from the ratio in each round. */
  readonly ratio: (subject: string, control: string) => Distribution
}

/** Measures all subjects in turns, closes them, and makes the table and the figure of it. */
export const compare = async (options: Options): Promise<Comparison> => {
  const { settings: { quick, smoke }, subjects } = options
  const samples = await paired(
    Object.fromEntries(subjects.map(({ name, sample }) => [name, sample])),
    { rounds: options.rounds ?? (quick ? 25 : 80), warmups: options.warmups ?? 4, millis: options.millis }
  )
  const tails = await p99(subjects, smoke ? 10 : options.operations ?? (quick ? 2000 : 10_000))
  // oxlint-disable-next-line no-await-in-loop -- one at a time, in case one disturbs another
  for (const { close } of subjects) await close?.()
  return summary(options, samples, tails)
}

/** The table and the figure of samples, for a second figure that was taken together with those of `compare`. */
export const summary = (
  options: Pick<Options, "title" | "unit" | "control" | "scale"> & { readonly subjects: ReadonlyArray<Described> },
  samples: Samples,
  tails: ReadonlyMap<string, number> = new Map()
): Comparison => {
  const { control, subjects, unit = "time" } = options
  const show = unit === "time" ? time : whole
  const measured = subjects.map((subject) => ({
    subject,
    figure: distribution(samples[subject.name]!),
    tail: tails.get(subject.name)
  }))
  const hasTails = tails.size > 0
  return {
    samples,
    table: {
      title: options.title,
      columns: ["", "median", "quartiles", ...(hasTails ? ["p99"] : []), `of ${control}'s`, "differs"],
      rows: measured.map(({ figure, subject, tail }) =>
        row(
          subject.name,
          cells(figure, show),
          hasTails ? [tail === undefined ? "" : show(tail)] : [],
          subject.name === control ? "" : times(ratio(samples, subject.name, control).median),
          difference(subject)
        )
      )
    },
    figures: [{
      title: options.title,
      unit: unit === "time" ? "ns" : "bytes",
      scale: options.scale ?? "linear",
      bars: measured.map(({ figure, subject, tail }) => ({
        label: subject.name,
        ...figure,
        ...(tail === undefined ? {} : { p99: tail }),
        kind: subject.own === true ? "own" : subject.control === true ? "control" : "peer"
      }))
    }],
    fastest: (filter = () => true) => {
      const among = measured.filter(({ subject }) =>
        subject.own !== true && subject.control !== true && filter(subject)
      )
      if (among.length === 0) throw new Error(`${options.title}: there is nobody to be compared to`)
      return among.reduce((best, one) => one.figure.median < best.figure.median ? one : best).subject.name
    },
    differs: (name) => {
      const found = subjects.find((subject) => subject.name === name)
      return found === undefined ? "" : difference(found)
    },
    ratio: (subject, against) => ratio(samples, subject, against)
  }
}

// In turns as well, a tenth of the operations at a time, so that a turn has a hundred or more. A tail is the median of the
// tails of the turns, so that one pause of the machine is not a property of the subject that it met.
const p99 = async (subjects: ReadonlyArray<Subject>, operations: number): Promise<ReadonlyMap<string, number>> => {
  const turns = new Map<string, Array<number>>()
  for (let turn = 0; turn < 10; turn++) {
    for (const { latencies, name } of turn % 2 === 0 ? subjects : subjects.toReversed()) {
      if (latencies === undefined) continue
      // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
      const sorted = (await latencies(Math.ceil(operations / 10))).toSorted((a, b) => a - b)
      const tail = sorted[Math.ceil(sorted.length * 0.99) - 1]!
      turns.set(name, [...(turns.get(name) ?? []), tail])
    }
  }
  return new Map(Array.from(turns, ([name, tails]) => [name, distribution(tails).median]))
}

/** What the table says about a subject: what it does not guarantee, and what else differs. */
export const difference = ({ control, differs, gives }: Described): string =>
  [
    ...(control === true ? [] : lacks.filter(([guarantee]) => !gives[guarantee]).map(([, text]) => text)),
    ...(differs === "" ? [] : [differs])
  ].join("; ")

const lacks: ReadonlyArray<readonly [keyof Guarantees, string]> = [
  ["singleFlight", "no single flight"],
  ["tags", "no tags"],
  ["copies", "hands out the object that it keeps"],
  ["typed", "types are lost"]
]

/** What everything here is meant to give, this library included. */
export const allGuarantees: Guarantees = { singleFlight: true, tags: true, copies: true, typed: true }

/** Those that give what this library gives; types apart, which no other with tags and copies gives back. */
export const sameGuarantees = ({ gives }: Described): boolean => gives.singleFlight && gives.tags && gives.copies

/** A sample of a promise library: nanoseconds per operation of a loop that awaits each. */
export const awaited = (count: number, operation: (index: number) => unknown): () => Promise<number> => async () => {
  const start = performance.now()
  // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
  for (let index = 0; index < count; index++) await operation(index)
  return (performance.now() - start) * 1e6 / count
}

/** Nanoseconds of single operations of a promise library. What reading the clock takes is in them. */
export const awaitedLatencies =
  (operation: (index: number) => unknown) => async (count: number): Promise<ReadonlyArray<number>> => {
    const nanos: Array<number> = []
    for (let index = 0; index < count; index++) {
      const start = process.hrtime.bigint()
      // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
      await operation(index)
      nanos.push(Number(process.hrtime.bigint() - start))
    }
    return nanos
  }

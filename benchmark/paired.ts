/**
 * Samples that are taken in turns.
 *
 * A shared machine drifts: what ran at 30 000 requests per second a minute ago may run at 60 000 now. So subjects are
 * never measured one after the other. They take turns, a sample each per round, each round in the opposite order of the
 * round before, and what is compared is the ratio within a round.
 */

/** Figures by subject: one for each round, in order. */
export type Samples = Readonly<Record<string, ReadonlyArray<number>>>

export interface Distribution {
  readonly median: number
  /** The first and the third quartile. */
  readonly low: number
  readonly high: number
}

export interface Options {
  /** How many rounds are measured, and how many before them are not. */
  readonly rounds: number
  readonly warmups: number
  /** After this time there are fewer rounds, but not less than five: a slow machine makes a run coarser, not longer. */
  readonly millis: number
}

/** What tells a process of the benchmark that it is only to show that everything works: one round, and no warm-up. */
export const smokeFlag = "--smoke"

const smoke = process.argv.includes(smokeFlag)

/** Measures every subject once per round. A subject returns its figure, a time or a rate. */
export const paired = async (
  subjects: Readonly<Record<string, () => number | Promise<number>>>,
  options: Options
): Promise<Samples> => {
  const names = Object.keys(subjects)
  const samples: Record<string, Array<number>> = Object.fromEntries(names.map((name) => [name, []]))
  const [warmups, rounds] = smoke ? [0, 1] : [options.warmups, options.rounds]
  const start = performance.now()
  for (let round = -warmups; round < rounds; round++) {
    const spent = (performance.now() - start) / options.millis
    if (spent > 1 && round >= 5) break
    if (spent > 1 / 3 && round < -1) round = -1
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      // oxlint-disable-next-line no-await-in-loop -- one at a time is the point
      const figure = await subjects[name]!()
      if (round >= 0) samples[name]!.push(figure)
    }
  }
  return samples
}

/** Median and quartiles. */
export const distribution = (figures: ReadonlyArray<number>): Distribution => {
  const sorted = figures.toSorted((a, b) => a - b)
  const at = (part: number) => {
    const index = (sorted.length - 1) * part
    const below = sorted[Math.floor(index)]!
    return below + (sorted[Math.ceil(index)]! - below) * (index % 1)
  }
  return { median: at(0.5), low: at(0.25), high: at(0.75) }
}

/** The ratio of two subjects, from the ratio in each round. */
export const ratio = (samples: Samples, subject: string, control: string): Distribution =>
  distribution(samples[subject]!.map((figure, round) => figure / samples[control]![round]!))

/** What a subject takes beyond the control, from the difference in each round. */
export const beyond = (samples: Samples, subject: string, control: string): Distribution =>
  distribution(samples[subject]!.map((figure, round) => figure - samples[control]![round]!))

/**
 * The commands, their flags and their exit codes.
 */
import * as Cause from "effect/Cause"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { createRequire } from "node:module"
import { display } from "../internal/precompute/display.ts"
import * as Precompute from "../Precompute.ts"
import { printDomains } from "./domains.ts"
import { failed } from "./failure.ts"
import { openModule, orCannotRun } from "./openModule.ts"

const module = Argument.String("module").pipe(
  Argument.withDescription("The file that exports the functions, relative to this folder")
)

const precompute = Command.make(
  "precompute",
  {
    module,
    concurrency: Flag.Int("concurrency").pipe(
      Flag.withDescription("How many inputs are computed at once (default: 8)"),
      Flag.optional
    ),
    maxSize: Flag.Int("max-size").pipe(
      Flag.withDescription("The most inputs that the domain of a function may have (default: 100000)"),
      Flag.optional
    ),
    failFast: Flag.Boolean("fail-fast").pipe(
      Flag.withDescription("Stop at the first failure (default: the others go on)"),
      Flag.optional
    ),
    timeBudget: Flag.String("time-budget").pipe(
      Flag.withDescription("Start nothing new after this time, as in \"5 minutes\" (default: no limit)"),
      Flag.withSchema(Schema.DurationFromString),
      Flag.optional
    ),
    verify: Flag.Finite("verify").pipe(
      Flag.withDescription("The share of what is present, 0 to 1, that is computed again and compared (default: 0)"),
      Flag.optional
    ),
    prune: Flag.Literals("prune", ["keep", "report", "remove"]).pipe(
      Flag.withDescription("What becomes of entries outside the domain (default: report)"),
      Flag.optional
    ),
    retries: Flag.Int("retries").pipe(
      Flag.filter((times) => times >= 0, (times) => `Expected a number of retries, 0 or more, found ${times}`),
      Flag.withDescription("How often a failing input is tried again, at growing distances (default: never)"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ module, retries, ...flags }) {
    const { context, hasLayer, options, targets } = yield* openModule(module)
    if (!hasLayer) {
      yield* Effect.logWarning(
        `${module} exports no "layer": results are kept in memory and are gone at the end. Export a Layer of ResultCache over a store that lasts`
      )
    }
    const said = Record.getSomes<string, unknown>({ ...flags, retry: Option.map(retries, retryOf) })
    const progress = Precompute.run(targets.map(({ source }) => source), { ...options, ...said })
    const summary = yield* display(progress, Infinity).pipe(
      Effect.provideContext(context),
      (run) => orCannotRun(run, `${module} cannot be precomputed`)
    )
    const { different, failed: failures } = summary.counts
    if (!summary.complete || failures > 0 || different > 0) return yield* failed(1)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Computes every input of the cached functions that a module exports, and stores what is not there yet. Its exports \"layer\" and \"options\" say where and how. Exit code 0: all is stored; 1: something failed, differs or was stopped; 2: it could not run"
  ),
  Command.withShortDescription("Fill the cached functions of a module"),
  Command.withExamples([{
    command: "effect-cached precompute ./src/rankings.ts --concurrency 4 --retries 2",
    description: "Four inputs at a time, and each up to two more times"
  }])
)

const retryOf = (times: number) => Schedule.upTo(Schedule.exponential("200 millis"), { times })

const domain = Command.make(
  "domain",
  { module },
  Effect.fnUntraced(function*({ module }) {
    if (!(yield* printDomains(module))) return yield* failed(1)
  })
).pipe(
  Command.withDescription(
    "Prints each cached function that a module exports, the values of its fields, and how many inputs there are. \"layer\" is built only where a function or its schemas need it. Exit code 1: one has no finite domain"
  ),
  Command.withShortDescription("Print the domains of the functions of a module")
)

const version: string = createRequire(import.meta.url)("../../package.json").version

/** Runs the command that the arguments say. */
export const run = Command.make("effect-cached").pipe(
  Command.withDescription("Fills cached functions over their whole domain"),
  Command.withSubcommands([precompute, domain]),
  Command.run({ version }),
  Effect.catchTags({
    // Its text has been printed, with what is wrong in it.
    ShowHelp: ({ errors }) => errors.length > 0 ? Effect.fail(failed(2)) : Effect.void,
    Failure: (failure) =>
      Effect.andThen(failure.message === "" ? Effect.void : Effect.logError(failure.message), Effect.fail(failure))
  }),
  Effect.tapCause((cause) => Cause.hasDies(cause) ? Effect.logError(cause) : Effect.void)
)

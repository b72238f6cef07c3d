/**
 * How the command ends when it does not end well.
 */
import * as Data from "effect/Data"
import * as Runtime from "effect/Runtime"

/**
 * - `code`: the exit code. 1: something failed. 2: nothing could be run.
 * - `message`: what is still to be said.
 */
export class Failure extends Data.TaggedError("Failure")<{ readonly code: 1 | 2; readonly message: string }> {
  override readonly [Runtime.errorExitCode]: number = this.code
}

/** The failure of a command that could not run, and why. */
export const cannotRun = (message: string): Failure => new Failure({ code: 2, message })

/** The failure of a command of which everything has been said. */
export const failed = (code: 1 | 2): Failure => new Failure({ code, message: "" })

/**
 * Runs one section in a process of its own, so that no section meets the heap and the compiled code of another, and
 * sends its report to the parent.
 */
import type { Settings } from "./fixtures.ts"
import type { Report } from "./report.ts"
import { load, sections } from "./sections.ts"

process.once("message", ({ name, settings }: { readonly name: string; readonly settings: Settings }) => {
  void load(sections[name]!).then((run) => run(settings)).then(
    (report: Report) => process.send!(report, () => process.exit()),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    }
  )
})

// A reporter for TSTyche that writes "PASSED FAILED" to the file named by TEST_COUNTS.
import { writeFileSync } from "node:fs"

export default class CountsReporter {
  on([event, payload]) {
    if (event === "run:end") {
      const { failed, passed } = payload.result.testCounts
      writeFileSync(process.env.TEST_COUNTS, `${passed} ${failed}\n`)
    }
  }
}

// A reporter for vitest that writes "PASSED FAILED" to the file named by TEST_COUNTS.
import { writeFileSync } from "node:fs"

export default class CountsReporter {
  onTestRunEnd(modules, unhandledErrors) {
    let passed = 0
    let failed = unhandledErrors.length
    for (const module of modules) {
      let failedHere = 0
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === "passed") passed++
        if (state === "failed") failedHere++
      }
      // A module that does not load, or a hook that throws, fails without a failed test.
      failed += failedHere === 0 && module.state() === "failed" ? 1 : failedHere
    }
    writeFileSync(process.env.TEST_COUNTS, `${passed} ${failed}\n`)
  }
}

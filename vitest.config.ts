import { defineConfig } from "vitest/config"

export default defineConfig({
  resolve: { tsconfigPaths: true },
  test: {
    include: ["test/**/*.test.ts"],
    // The Redis that examples of the documentation use; and tests find `redis-server` installed.
    globalSetup: "test/redis/globalSetup.ts",
    passWithNoTests: false,
    // A test that fails once is a bug: find the interleaving, do not try again.
    retry: 0,
    // A limit for what hangs, not for what is slow on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text", "html"]
    }
  }
})

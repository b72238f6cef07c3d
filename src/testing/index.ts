/**
 * The cache for tests, and services whose faults a test decides.
 *
 * @since 0.1.0
 */
export * as CacheTest from "./CacheTest.ts"
export * as FaultyBroadcaster from "./FaultyBroadcaster.ts"
export * as FaultyCodec from "./FaultyCodec.ts"
export * as FaultyStore from "./FaultyStore.ts"
export * as RecordingGraph from "./RecordingGraph.ts"

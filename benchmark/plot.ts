/**
 * A figure as SVG: one horizontal bar for each subject, with its quartiles and its p99. It follows the colours of the
 * reader's screen, light or dark, and needs nothing but itself.
 */
import { type Bar, type Figure, time, whole } from "./report.ts"

const width = 800
const lineHeight = 26
const barHeight = 14
const top = 66
const right = 96
// Of the font at 12 pixels, so that labels and bars do not meet; that of this library is bold.
const charWidth = 6.5
const widthOf = ({ kind, label }: Bar): number => label.length * (kind === "own" ? 7.3 : charWidth)

/** The figure as the text of an SVG file. */
export const plot = (figure: Figure): string => {
  const { bars, title, unit } = figure
  const left = Math.min(400, Math.max(...bars.map(widthOf)) + 28)
  const { at, ticks } = axis(figure, left, width - right)
  const bottom = top + bars.length * lineHeight
  const kinds = new Set(bars.map(({ kind }) => kind))
  const hasTails = bars.some(({ p99 }) => p99 !== undefined)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${bottom + 34}" viewBox="0 0 ${width} ${
      bottom + 34
    }" role="img" aria-label="${escape(title)}">`,
    style,
    text(16, 22, title, "title"),
    text(16, 42, `${units[unit]}${figure.scale === "log" ? ", logarithmic scale" : ""}`, "note"),
    ...legend(kinds, hasTails),
    ...ticks.flatMap((tick) => [
      `<line class="grid" x1="${x(at(tick))}" x2="${x(at(tick))}" y1="${top - 6}" y2="${bottom + 2}"/>`,
      text(at(tick), bottom + 18, tick === 0 ? "0" : short(tick, unit).replace(/\.0+ /, " "), "note", "middle")
    ]),
    ...bars.flatMap((bar, index) => drawBar(bar, unit, top + index * lineHeight, left, at)),
    "</svg>",
    ""
  ].join("\n")
}

const units: Readonly<Record<Figure["unit"], string>> = {
  ns: "time, less is better",
  ms: "time, less is better",
  bytes: "bytes, less is better",
  "per second": "per second, more is better"
}

const drawBar = (
  { high, kind, label, low, median, p99 }: Bar,
  unit: Figure["unit"],
  y: number,
  left: number,
  at: (value: number) => number
): ReadonlyArray<string> => {
  const middle = y + lineHeight / 2 - 3
  return [
    text(left - 10, middle + 4, label, kind === "own" ? "label strong" : "label", "end"),
    `<rect class="${kind}" x="${x(left)}" y="${middle - barHeight / 2}" width="${
      x(Math.max(1, at(median) - left))
    }" height="${barHeight}" rx="2"/>`,
    ...(high > low
      ? [
        `<path class="whisker" d="M${x(at(low))} ${middle}H${x(at(high))}M${x(at(low))} ${middle - 4}v8M${
          x(at(high))
        } ${middle - 4}v8"/>`
      ]
      : []),
    ...(p99 === undefined ? [] : [`<circle class="tail" cx="${x(at(p99))}" cy="${middle}" r="3.5"/>`]),
    text(width - 16, middle + 4, short(median, unit), kind === "own" ? "label strong" : "label", "end")
  ]
}

const axis = (
  { bars, scale }: Figure,
  left: number,
  rightEnd: number
): { readonly at: (value: number) => number; readonly ticks: ReadonlyArray<number> } => {
  const all = bars.flatMap(({ high, median, p99 }) => [median, high, ...(p99 === undefined ? [] : [p99])])
  // Where all are nothing, any scale will do.
  const most = Math.max(...all) || 1
  if (scale === "linear") {
    return { at: (value) => left + (rightEnd - left) * (value / most), ticks: linearTicks(most) }
  }
  const least = Math.min(...bars.flatMap(({ low, median }) => [low, median]).filter((value) => value > 0), most)
  // A power of ten below the least, so that its bar is to be seen.
  const from = Math.ceil(Math.log10(least)) - 1
  const to = Math.max(Math.log10(most), from + 1)
  const at = (value: number) =>
    left + (rightEnd - left) * Math.max(0, Math.log10(Math.max(value, Number.MIN_VALUE)) - from) / (to - from)
  const powers = Array.from({ length: Math.floor(to) - from + 1 }, (_, index) => 10 ** (from + index))
  const every = Math.ceil(powers.length / 8)
  return { at, ticks: powers.filter((_, index) => index % every === 0) }
}

/** Five steps or so, of one, two or five times a power of ten. */
const linearTicks = (most: number): ReadonlyArray<number> => {
  const rough = most / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough)!
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step)
}

const legend = (kinds: ReadonlySet<Bar["kind"]>, hasTails: boolean): ReadonlyArray<string> => {
  const names = { own: "effect-cached", peer: "others", control: "floor" } as const
  const parts: Array<string> = []
  let from = width - 16
  if (hasTails) {
    from -= 32
    parts.push(`<circle class="tail" cx="${from}" cy="38" r="3.5"/>`, text(from + 8, 42, "p99", "note"))
    from -= 16
  }
  for (const kind of ["control", "peer", "own"] as const) {
    if (!kinds.has(kind)) continue
    from -= names[kind].length * charWidth + 18
    parts.push(
      `<rect class="${kind}" x="${x(from)}" y="33" width="10" height="10" rx="2"/>`,
      text(from + 15, 42, names[kind], "note")
    )
    from -= 10
  }
  return parts
}

const short = (value: number, unit: Figure["unit"]): string => {
  if (unit === "ns") return time(value)
  if (unit === "ms") return time(value * 1e6)
  return unit === "bytes" ? `${whole(value)} B` : whole(value)
}

const x = (value: number): string => String(Math.round(value * 10) / 10)

const text = (at: number, y: number, content: string, of: string, anchor?: "middle" | "end"): string =>
  `<text class="${of}" x="${x(at)}" y="${y}"${anchor === undefined ? "" : ` text-anchor="${anchor}"`}>${
    escape(content)
  }</text>`

const escape = (content: string): string =>
  content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;")

const style = `<style>
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-size: 14px; font-weight: 600 }
.note { fill: #59636e; font-size: 11px }
.strong { font-weight: 600 }
.own { fill: #d9480f }
.peer { fill: #8c959f }
.control { fill: #d0d7de }
.grid { stroke: #d0d7de; stroke-width: 1; opacity: .6 }
.whisker { stroke: #1f2328; stroke-width: 1.2; fill: none }
.tail { fill: none; stroke: #1f2328; stroke-width: 1.4 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.note { fill: #9198a1 }
.own { fill: #ff8a3d }
.peer { fill: #6e7681 }
.control { fill: #3d444d }
.grid { stroke: #3d444d }
.whisker, .tail { stroke: #e6edf3 }
}
</style>`

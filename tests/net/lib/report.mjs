// Figures, tables and promises, as text.

/** Middle value (the lower one of two); NaN of nothing. */
export const median = (values) => percentile(values, 50)

/** The smallest value that at least `p` percent of the values do not exceed; NaN of nothing. */
export function percentile(values, p) {
  if (!values.length) return NaN
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)]
}

/** Rows as aligned columns; numbers to the right. `columns` are the headings. */
export function table(columns, rows) {
  const cells = rows.map((row) => row.map((value) => (value === null || value === undefined ? '-' : String(value))))
  const widths = columns.map((heading, i) => Math.max(heading.length, ...cells.map((row) => row[i].length)))
  const right = columns.map((_, i) => rows.length > 0 && rows.every((row) => row[i] == null || typeof row[i] === 'number' || /^[\d.]+ ?%?$/.test(row[i])))
  const line = (row) => row.map((cell, i) => (right[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ').trimEnd()
  return [line(columns), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n')
}

/** Percent with two decimals. */
export const percent = (value) => `${value.toFixed(2)} %`

/** Seconds with one decimal. */
export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`

/** What a scenario measured, beside what was promised. */
export class Promises {
  rows = []

  /**
   * @param {string} what the thing measured
   * @param {string|number} measured
   * @param {string} promised in words; empty for a figure nothing is promised about
   * @param {boolean} kept
   */
  check(what, measured, promised, kept) {
    this.rows.push({ what, measured: String(measured), promised, kept: Boolean(kept) })
  }

  /** A figure that is only shown. */
  note(what, measured) {
    this.rows.push({ what, measured: String(measured), promised: '', kept: true })
  }

  get broken() {
    return this.rows.filter((row) => !row.kept)
  }

  toString() {
    return table(
      ['what', 'measured', 'promised', ''],
      this.rows.map((row) => [row.what, row.measured, row.promised, row.promised ? (row.kept ? 'kept' : 'BROKEN') : '']),
    )
  }
}

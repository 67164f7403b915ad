// Amounts as people read them.

const DECIMALS = 18n

/** Planck (or wei) as OPEN with every digit it has and thousands apart: 1234500000000000000000 is `1,234.5 OPEN`. */
export function open(planck) {
  const sign = planck < 0n ? '-' : ''
  const size = planck < 0n ? -planck : planck
  const whole = (size / 10n ** DECIMALS).toString().replace(/\B(?=(\d{3})+$)/g, ',')
  const rest = (size % 10n ** DECIMALS).toString().padStart(Number(DECIMALS), '0').replace(/0+$/, '')
  return `${sign}${whole}${rest && `.${rest}`} OPEN`
}

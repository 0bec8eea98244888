const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const significant = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

/** 12,345. Counts come as strings where they may pass 2⁵³. */
export function count(value: number | string | undefined): string {
  return whole.format(Number(value ?? 0));
}

/** 12.3K, for axes. */
export function short(value: number): string {
  return compact.format(value);
}

/** A share between 0 and 1 as percent, with three figures: 0.12 %. */
export function share(value: number): string {
  return `${significant.format(value * 100)} %`;
}

/** What is in percent already: 10 %. */
export function percent(value: number | undefined): string {
  return `${significant.format(value ?? 0)} %`;
}

/** Evidence spans hundreds of orders of magnitude: 0.12, 8,000, 3.2 × 10¹⁴. */
export function magnitude(value: number): string {
  if (!Number.isFinite(value)) return '∞';
  if (value > 0 && value < 0.01) return 'under 0.01';
  if (Math.abs(value) < 1e6) return significant.format(value);
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  return `${(value / 10 ** exponent).toFixed(1)} × 10${superscript(exponent)}`;
}

/** 1 agent, 2 agents. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

const digits = '⁰¹²³⁴⁵⁶⁷⁸⁹';

function superscript(exponent: number): string {
  return Array.from(String(exponent), (digit) => digits[Number(digit)] ?? '⁻').join('');
}

/** Numbers as people read them. */
import type { PrecisionChoice } from '../kernels/precision.ts';

export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Decimal units, as file managers and networks count them. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(2)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

export function formatPercent(fraction: number, digits = 2): string {
  return `${(100 * fraction).toFixed(digits)} %`;
}

/** A difference of two fractions in percentage points, with its sign. */
export function formatPoints(difference: number): string {
  const points = (100 * difference).toFixed(2);
  return difference > 0 ? `+${points}` : points === '-0.00' ? '0.00' : points;
}

export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function formatShape(shape: readonly (number | string)[]): string {
  return shape.length > 0 ? shape.join('×') : 'scalar';
}

/** One line, whatever a library put into its message. */
export function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim();
}

export function formatPrecision({ precision, reason }: PrecisionChoice): string {
  return reason ? `${precision}, because ${reason}` : precision;
}

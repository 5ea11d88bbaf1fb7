/** How the example pages write numbers, and what they say where WebGPU is missing. */

export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}

export function millisecondsText(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

export function percentText(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}

export const NO_WEBGPU =
  'This page computes on your graphics card through WebGPU, and your browser offers none. It works in current versions ' +
  'of Chrome, Edge, Firefox and Safari; on Linux, Chrome may need the flag “Unsafe WebGPU Support” in chrome://flags.';

/** An error as the page says it. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === 'NoAdapterError' ? NO_WEBGPU : error.message;
}

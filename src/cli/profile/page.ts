/** `wgslim profile --html`: one page that needs nothing from elsewhere. Values show where the pointer rests. */
import type { DispatchRow, ProfileDocument } from './document.ts';
import { addedByTimestamps, groupBy, subjectTitle } from './document.ts';

const WIDTH = 960;
const LEFT = 70;
const HEIGHT = 360;
const BOTTOM = 50;
const TOP = 20;

export function profilePage(document: ProfileDocument): string {
  const title = subjectTitle(document);
  const facts = [
    document.gpuMs === null
      ? escapeHtml(document.note ?? '')
      : `GPU ${ms(document.gpuMs)}, ${document.dispatches.length} dispatches, medians of ${document.repeats} runs and ${percent(document.gpuShare)} of their wall time; ${ms(document.wallMs)} a run without timestamps`,
    ...(document.overhead === null ? [] : [`Timestamps add ${addedByTimestamps(document.overhead)} to a run`]),
    `Adapter: ${escapeHtml(document.adapter.name)}`,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark; }
body { font: 14px/1.45 system-ui, sans-serif; max-width: ${WIDTH}px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: currentColor; }
.bar { fill: #3b7dd8; } .dot { fill: #3b7dd8; fill-opacity: .6; } .area { fill: #3b7dd8; fill-opacity: .8; }
.bar:hover, .dot:hover, .area:hover { fill: #d8663b; fill-opacity: 1; }
.axis { stroke: currentColor; stroke-opacity: .35; } .roof { stroke: #c0392b; stroke-width: 2; fill: none; }
table { border-collapse: collapse; width: 100%; } td, th { padding: 2px 8px; text-align: right; }
td:first-child, th:first-child { text-align: left; } tbody tr:hover { background: #8882; }
</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<p>${facts.join('<br>')}</p>
<h2>Time per layer</h2>
${timePerLayer(document)}
<h2>Roofline</h2>
${roofline(document)}
<h2>Memory of temporaries over the run</h2>
${memory(document)}
<h2>Kernels</h2>
${kernelTable(document)}
</body>
</html>
`;
}

/** Labels are `layer: what it does`. */
export function layerOf(label: string): string {
  const at = label.indexOf(': ');
  return at < 0 ? label : label.slice(0, at);
}

function timePerLayer({ dispatches, gpuMs, note }: ProfileDocument): string {
  if (gpuMs === null) return `<p>${escapeHtml(note ?? '')}</p>`;
  const layers = [...groupBy(dispatches, ({ label }) => layerOf(label))].map(([name, rows]) => ({
    name,
    rows,
    time: rows.reduce((sum, row) => sum + (row.ms ?? 0), 0),
  }));
  const longest = Math.max(...layers.map(({ time }) => time), Number.MIN_VALUE);
  const names = 240;
  const row = 18;
  const bars = layers.map(({ name, rows, time }, i) => {
    const y = i * row;
    const width = ((WIDTH - names - 90) * time) / longest;
    const parts = rows.map(({ label, kernel, ms: own }) => `${label} (${kernel}): ${ms(own ?? 0)}`).join('\n');
    const shown = name.length > 36 ? `${name.slice(0, 35)}…` : name;
    return `<g><title>${escapeHtml(`${name}: ${ms(time)}, ${percent(time / gpuMs)}\n${parts}`)}</title>
<text x="${names - 8}" y="${y + 13}" text-anchor="end">${escapeHtml(shown)}</text>
<rect class="bar" x="${names}" y="${y + 2}" width="${fixed(Math.max(1, width))}" height="${row - 4}"/>
<text x="${fixed(names + width + 6)}" y="${y + 13}">${ms(time)}</text></g>`;
  });
  return svg(layers.length * row, bars.join('\n'), 'Time per layer');
}

/** Williams, Waterman & Patterson 2009: attainable rate = min(peak, intensity · bandwidth), on logarithmic axes. */
function roofline({ dispatches, roof }: ProfileDocument): string {
  const points = dispatches.filter((row) => row.flops > 0 && row.bytes > 0 && (row.gflops ?? 0) > 0);
  if (points.length === 0) return '<p>No dispatch with arithmetic was timed.</p>';
  const ridge = roof.f32 / roof.bandwidth;
  const intensities = [...points.map((row) => row.flops / row.bytes), ridge];
  const rates = [...points.map((row) => row.gflops as number), roof.f32];
  const x = logScale(Math.min(...intensities) / 2, Math.max(...intensities) * 4, LEFT, WIDTH - 20);
  const y = logScale(Math.min(...rates) / 2, Math.max(...rates) * 2, HEIGHT - BOTTOM, TOP);
  const lowest = Math.max(x.min, y.min / roof.bandwidth);
  const line = [
    [lowest, lowest * roof.bandwidth],
    [ridge, roof.f32],
    [x.max, roof.f32],
  ].map(([intensity, rate]) => `${fixed(x.at(intensity!))},${fixed(y.at(rate!))}`);
  const ticks = [
    ...powersOfTen(x.min, x.max).map(
      (value) =>
        `<line class="axis" x1="${fixed(x.at(value))}" x2="${fixed(x.at(value))}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/><text x="${fixed(x.at(value))}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${value}</text>`,
    ),
    ...powersOfTen(y.min, y.max).map(
      (value) =>
        `<line class="axis" x1="${LEFT}" x2="${WIDTH - 20}" y1="${fixed(y.at(value))}" y2="${fixed(y.at(value))}"/><text x="${LEFT - 6}" y="${fixed(y.at(value) + 4)}" text-anchor="end">${value}</text>`,
    ),
  ];
  const longest = Math.max(...points.map((row) => row.ms ?? 0));
  const dots = points.map((row) => {
    const radius = 3 + 7 * Math.sqrt((row.ms ?? 0) / longest);
    return `<circle class="dot" cx="${fixed(x.at(row.flops / row.bytes))}" cy="${fixed(y.at(row.gflops as number))}" r="${fixed(radius)}"><title>${escapeHtml(hover(row))}</title></circle>`;
  });
  return svg(
    HEIGHT,
    `${ticks.join('\n')}
<polyline class="roof" points="${line.join(' ')}"><title>${escapeHtml(`Measured roof: ${roof.f32.toFixed(1)} GFLOP/s f32, ${roof.bandwidth.toFixed(1)} GB/s`)}</title></polyline>
${dots.join('\n')}
<text x="${WIDTH / 2}" y="${HEIGHT - 8}" text-anchor="middle">operations per byte</text>
<text x="14" y="${HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 ${HEIGHT / 2})">GFLOP/s</text>`,
    'Roofline plot',
  );
}

function memory({ dispatches, memory: { planned, unshared } }: ProfileDocument): string {
  const peak = Math.max(...dispatches.map(({ liveBytes }) => liveBytes), 1);
  const width = (WIDTH - LEFT - 20) / Math.max(1, dispatches.length);
  const tall = 180;
  const bars = dispatches.map(({ label, liveBytes }, i) => {
    const height = ((tall - 30) * liveBytes) / peak;
    return `<rect class="area" x="${fixed(LEFT + i * width)}" y="${fixed(tall - 10 - height)}" width="${fixed(width)}" height="${fixed(height)}"><title>${escapeHtml(`${i + 1}. ${label}: ${bytes(liveBytes)} in use`)}</title></rect>`;
  });
  return `${svg(
    tall,
    `<line class="axis" x1="${LEFT}" x2="${WIDTH - 20}" y1="20" y2="20"/><text x="${LEFT - 6}" y="24" text-anchor="end">${bytes(peak)}</text>
<line class="axis" x1="${LEFT}" x2="${WIDTH - 20}" y1="${tall - 10}" y2="${tall - 10}"/>
${bars.join('\n')}`,
    'Memory over the run',
  )}
<p>Bytes in use during each dispatch, in order. The plan holds ${bytes(planned)}; without sharing it would hold ${bytes(unshared)}. Weights come on top.</p>`;
}

function kernelTable({ kernels }: ProfileDocument): string {
  const rate = (value: number | null) => (value === null ? '–' : value.toFixed(1));
  const rows = kernels.map(
    (row) =>
      `<tr><td>${escapeHtml(row.kernel)}</td><td>${row.ms === null ? '–' : ms(row.ms)}</td><td>${percent(row.share)}</td><td>${row.calls}</td><td>${row.flops > 0 ? rate(row.gflops) : '–'}</td><td>${rate(row.gbps)}</td><td>${percent(row.ofRoof)}</td></tr>`,
  );
  return `<table><thead><tr><th>kernel</th><th>time</th><th>share</th><th>calls</th><th>GFLOP/s</th><th>GB/s</th><th>of roof</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table>`;
}

function hover(row: DispatchRow): string {
  return [
    row.label,
    row.kernel,
    `${ms(row.ms ?? 0)}, ${percent(row.share)} of the run`,
    `${(row.gflops ?? 0).toFixed(1)} GFLOP/s, ${(row.gbps ?? 0).toFixed(1)} GB/s`,
    `${(row.flops / row.bytes).toFixed(2)} operations per byte`,
    `${percent(row.ofRoof)} of the roof`,
  ].join('\n');
}

function logScale(min: number, max: number, from: number, to: number) {
  const span = Math.log(max / min);
  return { min, max, at: (value: number) => from + ((to - from) * Math.log(value / min)) / span };
}

function powersOfTen(min: number, max: number): number[] {
  const values: number[] = [];
  for (let power = Math.ceil(Math.log10(min)); power <= Math.floor(Math.log10(max)); power++) {
    values.push(Number(`1e${power}`));
  }
  return values;
}

function svg(height: number, content: string, label: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${Math.max(1, height)}" role="img" aria-label="${label}">\n${content}\n</svg>`;
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 3 : 1)} ms`;
}

function bytes(value: number): string {
  return value < 1e6 ? `${(value / 1e3).toFixed(1)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

function percent(fraction: number | null): string {
  return fraction === null ? '–' : `${(100 * fraction).toFixed(1)} %`;
}

function fixed(value: number): string {
  return value.toFixed(1);
}

/** Names come out of a model file: nothing of them may become markup. */
function escapeHtml(text: string): string {
  const codes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => codes[character] as string);
}

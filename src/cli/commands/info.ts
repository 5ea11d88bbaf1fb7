import type { Command } from 'commander';
import { NoAdapterError } from '../../gpu/errors.ts';
import type { Gpu } from '../../gpu/gpu.ts';
import type { NodeGpu } from '../../gpu/node.ts';
import { type MatmulPlan, planMatmul } from '../../kernels/matmul.ts';
import { chooseConv } from '../../kernels/validConv.ts';
import { addGpuOptions, type GpuFlags } from '../flags.ts';
import { adapterName, openAdapter } from '../gpu.ts';
import { printResult } from '../output.ts';
import { renderPairs } from '../table.ts';
import { formatBytes, formatCount, oneLine } from '../text.ts';

export function addInfoCommand(program: Command): void {
  addGpuOptions(program.command('info'))
    .summary('show the adapter, its features and limits, and the kernels that suit it')
    .description(
      'Shows which adapter wgslim takes and why, its features and limits, which kernel variants will be used, and what to install where there is no adapter or a better one can be had. Exit code 1 without an adapter.',
    )
    .addHelpText('after', '\nExamples:\n  wgslim info\n  wgslim info --adapter swiftshader --json')
    .action(info);
}

/** The WebGPU limits that decide what fits. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'minStorageBufferOffsetAlignment',
] as const;
type LimitName = (typeof LIMITS)[number];

async function info(flags: GpuFlags): Promise<void> {
  let opened: NodeGpu;
  try {
    opened = await openAdapter(flags);
  } catch (error) {
    if (!(error instanceof NoAdapterError)) throw error;
    // A document is owed even now; the sentence goes to stderr too, like any failure.
    const nothing = {
      adapter: null,
      source: null,
      features: [],
      limits: {},
      kernels: {},
      advice: oneLine(error.message),
    };
    if (flags.json) await printResult(flags, nothing, '');
    throw error;
  }
  const { gpu, source, advice } = opened;
  try {
    const { capabilities } = gpu;
    const features = featuresOf(gpu);
    const limits = Object.fromEntries(LIMITS.map((name) => [name, gpu.device.limits[name]])) as Record<
      LimitName,
      number
    >;
    const kernels = kernelVariants(gpu);
    const adapter = adapterName(gpu);
    const document = {
      adapter,
      source,
      features,
      limits,
      kernels,
      subgroupSize: capabilities.subgroupSize ?? null,
      advice: advice ?? null,
    };
    const isBytes = (name: string) => /Size$|Alignment$/.test(name);
    const text = [
      renderPairs([
        ['adapter', `${adapter.name} (${adapter.kind === 'cpu' ? 'runs on the CPU' : 'GPU'})`],
        ['driver', adapter.driver],
        ['taken because', source],
        ['features', features.join(', ') || 'none beyond the core of WebGPU'],
        ['subgroup', capabilities.subgroupSize ? `${capabilities.subgroupSize} lanes` : 'no fixed size'],
      ]),
      '',
      renderPairs(LIMITS.map((name) => [name, isBytes(name) ? formatBytes(limits[name]) : formatCount(limits[name])])),
      '',
      renderPairs(Object.entries(kernels)),
      ...(advice ? ['', `Faster: ${advice}.`] : []),
    ].join('\n');
    await printResult(flags, document, text);
  } finally {
    gpu.destroy();
  }
}

function featuresOf({ device, capabilities }: Gpu): string[] {
  return [
    ...[...device.features].filter((name) => !name.startsWith('core-')),
    ...(capabilities.packedDot ? ['packed_4x8_integer_dot_product'] : []),
    ...(capabilities.immediateBytes > 0 ? ['immediate_address_space'] : []),
  ].sort();
}

/** What the choice comes to for a large product, a large convolution and a depthwise one. */
function kernelVariants({ capabilities }: Gpu): Record<string, string> {
  const product = (half: boolean) => describe(planMatmul(capabilities, { m: 1024, n: 1024, k: 1024, half }).variant);
  const conv = (groups: number) => {
    const variant = chooseConv(capabilities, { groups, m: groups === 1 ? 64 : 1, n: 16384 });
    return variant.kind === 'direct' ? 'direct, one result per invocation' : describe(variant);
  };
  return {
    'matrix product': product(false),
    ...(capabilities.matrices && { 'the same with --precision f16': product(true) }),
    convolution: conv(1),
    'depthwise convolution': conv(64),
  };
}

function describe(variant: MatmulPlan['variant']): string {
  switch (variant.kind) {
    case 'matrices': {
      const { Component, M, N, K } = variant.tunables;
      return `subgroup matrices, ${Component} ${M} x ${N} x ${K}, in tiles of ${variant.rows} x ${variant.columns}`;
    }
    case 'subgroup':
      return `subgroup, ${variant.subgroup} lanes, ${variant.rows} rows each`;
    case 'quads':
      return `quads of a subgroup, ${variant.rows} rows each`;
    case 'tiled':
      return `tiles in workgroup memory, ${4 * variant.tm} x ${4 * variant.tn}`;
  }
}

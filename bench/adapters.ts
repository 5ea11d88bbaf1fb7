import { existsSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type { Gpu } from '../src/gpu/gpu.ts';
import { type NodeOpenOptions, openGpu } from '../src/gpu/node.ts';
import { JAX, type Jax, openJax } from './peers/jax.ts';
import { ORT, type Ort, openOrt } from './peers/onnxruntime.ts';
import { openTfjs, TFJS, type Tf } from './peers/tfjs.ts';
import { openTorch, TORCH, type Torch } from './peers/torch.ts';

/** The npm packages, which run in this process. */
const INSTALLED = ['tfjs', 'onnxruntime', 'jax'] as const;
export const PEERS = [...INSTALLED, 'torch'] as const;
export type PeerKey = (typeof PEERS)[number];

/** The peers that are installed and wanted, each with a device of its own on the same adapter. */
export interface Peers {
  tfjs?: Tf;
  onnxruntime?: Ort;
  jax?: Jax;
  torch?: Torch;
}

export interface Opened {
  gpu: Gpu;
  source: string;
  peers: Peers;
  /** Name and version of the peers that run. */
  versions: Record<string, string>;
  /** Why a wanted peer does not run. */
  missing: string[];
}

type PackageKey = (typeof INSTALLED)[number];

const PACKAGES: Record<PackageKey, { name: string; folder: string }> = {
  tfjs: { name: TFJS, folder: '@tensorflow/tfjs-backend-webgpu' },
  onnxruntime: { name: ORT, folder: 'onnxruntime-web' },
  jax: { name: JAX, folder: '@jax-js/jax' },
};

/** Opens wgslim's device and then one for every peer. */
export async function openAll(
  wanted: readonly PeerKey[],
  adapter: NonNullable<NodeOpenOptions['adapter']> | undefined,
): Promise<Opened> {
  const peers: Peers = {};
  const versions: Record<string, string> = {};
  const missing: string[] = [];
  // First, since a process inherits the priority of the thread that starts it.
  if (wanted.includes('torch')) {
    try {
      peers.torch = await openTorch();
      versions[TORCH] = peers.torch.version;
    } catch (error) {
      missing.push(`${TORCH}: ${(error as Error).message}`);
    }
  }
  // Worker threads of a software adapter start with a device and inherit this thread's priority: it is lowered below,
  // when all of them are there, so that every contender runs under the same terms.
  const { gpu, source } = await openGpu({ ...(adapter && { adapter }), keepPriority: true });
  const packages = INSTALLED.filter((key) => wanted.includes(key));
  const installed = packages.filter((key) => existsSync(manifestOf(key)));
  if (installed.length < packages.length) {
    const names = packages.filter((key) => !installed.includes(key)).map((key) => PACKAGES[key].name);
    missing.push(`${names.join(', ')}: not installed, run \`npm ci --prefix bench\``);
  }
  if (installed.length > 0) await offerWebGpu(gpu);
  for (const key of installed) {
    try {
      if (key === 'tfjs') peers.tfjs = await openTfjs();
      else if (key === 'onnxruntime') peers.onnxruntime = await openOrt();
      else peers.jax = await openJax();
      versions[PACKAGES[key].name] = JSON.parse(readFileSync(manifestOf(key), 'utf8')).version;
    } catch (error) {
      missing.push(`${PACKAGES[key].name}: ${(error as Error).message}`);
    }
  }
  if (gpu.capabilities.kind === 'cpu') setPriority(0, constants.priority.PRIORITY_LOW);
  return { gpu, source, peers, versions, missing };
}

const manifestOf = (key: PackageKey) => new URL(`node_modules/${PACKAGES[key].folder}/package.json`, import.meta.url);

/** Gives the peers what they look for in a browser: `navigator.gpu`, here of Dawn, on the adapter that wgslim has. */
async function offerWebGpu(ours: Gpu): Promise<void> {
  const { create } = await import('webgpu');
  const entry = create(['disable-dawn-features=timestamp_quantization']);
  const gpu = {
    wgslLanguageFeatures: entry.wgslLanguageFeatures,
    getPreferredCanvasFormat: () => 'bgra8unorm',
    async requestAdapter(options: GPURequestAdapterOptions = {}) {
      const adapter = await entry.requestAdapter({ ...options, powerPreference: 'high-performance' });
      if (adapter && adapter.info.description !== ours.capabilities.driver) {
        throw new Error(`got the adapter ${adapter.info.description}, not ${ours.capabilities.driver}`);
      }
      return adapter;
    },
  };
  const navigator = { gpu, userAgent: 'Node', language: 'en', hardwareConcurrency: 1 };
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true, writable: true });
  copySharedMemory();
}

/** Dawn's Node binding refuses views of shared memory, which is what onnxruntime's module works in. */
function copySharedMemory(): void {
  const { prototype } = (globalThis as unknown as { GPUQueue: { prototype: GPUQueue } }).GPUQueue;
  const write = prototype.writeBuffer as (...values: unknown[]) => undefined;
  prototype.writeBuffer = function (
    this: GPUQueue,
    buffer: GPUBuffer,
    offset: number,
    data: ArrayBuffer | SharedArrayBuffer | ArrayBufferView,
    first = 0,
    count?: number,
  ): undefined {
    const memory = ArrayBuffer.isView(data) ? data.buffer : data;
    if (!(memory instanceof SharedArrayBuffer)) return write.call(this, buffer, offset, data, first, count);
    const view = ArrayBuffer.isView(data) ? data : new Uint8Array(data);
    const unit = (view as Uint8Array).BYTES_PER_ELEMENT ?? 1;
    const bytes = count === undefined ? view.byteLength - first * unit : count * unit;
    return write.call(this, buffer, offset, new Uint8Array(memory, view.byteOffset + first * unit, bytes).slice());
  } as GPUQueue['writeBuffer'];
}

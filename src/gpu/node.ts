/** Node only: finds an adapter through the Dawn binding, or brings up the embedded software adapter. */
import { existsSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { NoAdapterError } from './errors.ts';
import { type Experimental, featuresWith } from './experimental.ts';
import { Gpu, type OpenOptions } from './gpu.ts';
import { patientWait, shortenRests } from './patience.node.ts';
import { unpackSwiftShader } from './swiftshader.node.ts';

export interface NodeOpenOptions extends Omit<OpenOptions, 'features'> {
  /**
   * `system`: an adapter of the machine's own Vulkan, Metal or D3D12. `swiftshader`: the embedded software adapter.
   * `auto`: the first, or else the second. The environment variable WGSLIM_ADAPTER sets the default.
   */
  adapter?: 'auto' | 'system' | 'swiftshader';
  /** Browsers always clamp indices; a measurement may go without to learn what that costs. */
  disableRobustness?: boolean;
  /**
   * Leaves the calling thread's priority alone: for a process that opens more devices of a CPU adapter afterwards, whose
   * workers would inherit the low one.
   */
  keepPriority?: boolean;
  /** Features that WebGPU has not settled, where the adapter has them. */
  experimental?: readonly Experimental[] | undefined;
}

export interface NodeGpu {
  gpu: Gpu;
  /** Where the adapter came from, as a sentence. */
  source: string;
  /** How to get a better one, as a sentence; undefined where there is nothing to gain. */
  advice?: string;
}

const INSTALL =
  'install a Vulkan driver (Debian 13, Ubuntu 24.04: mesa-vulkan-drivers; Debian 12: the same from bookworm-backports), or add the npm package @sparticuz/chromium, whose software adapter wgslim can use';

// The process exits only when the last reference to a Dawn instance is dropped, and a device dies with its instance.
const instances = new WeakMap<Gpu, GPU>();

export async function openGpu(options: NodeOpenOptions = {}): Promise<NodeGpu> {
  const wanted = options.adapter ?? readAdapterVariable();
  if (wanted !== 'swiftshader') {
    const gpu = await tryOpen(options);
    if (gpu) {
      if (gpu.capabilities.kind === 'gpu') return { gpu, source: `${gpu.capabilities.name}, a GPU of this machine` };
      return {
        gpu,
        source: `${gpu.capabilities.name}, a software adapter installed on this machine`,
        advice: 'A machine with a GPU and its Vulkan driver would be much faster',
      };
    }
    if (wanted === 'system') throw new NoAdapterError(`WebGPU found no adapter on this machine: ${INSTALL}`);
  }
  const folder = unpackSwiftShader();
  if (!folder) throw new NoAdapterError(`WebGPU found no adapter on this machine: ${INSTALL}`);
  loadVulkanFrom(folder);
  const gpu = await tryOpen(options);
  if (!gpu) throw new NoAdapterError(`The embedded software adapter did not start: ${INSTALL}`);
  return {
    gpu,
    source:
      wanted === 'swiftshader'
        ? 'SwiftShader from npm @sparticuz/chromium, as asked for'
        : 'SwiftShader from npm @sparticuz/chromium, because this machine has no Vulkan adapter of its own',
    advice:
      wanted === 'swiftshader'
        ? undefined
        : 'A GPU with its Vulkan driver is much faster; without one, Mesa lavapipe is about five times faster than SwiftShader (Debian 13, Ubuntu 24.04: mesa-vulkan-drivers; Debian 12: the same from bookworm-backports)',
  };
}

function readAdapterVariable(): 'auto' | 'system' | 'swiftshader' {
  const value = process.env.WGSLIM_ADAPTER;
  if (!value || value === 'auto') return 'auto';
  if (value === 'system' || value === 'swiftshader') return value;
  throw new NoAdapterError(`WGSLIM_ADAPTER is '${value}'; it may be auto, system or swiftshader`);
}

async function tryOpen(options: NodeOpenOptions): Promise<Gpu | undefined> {
  const { create, globals } = await import('webgpu');
  for (const [name, value] of Object.entries(globals)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  const { experimental = [] } = options;
  const features = featuresWith(experimental);
  const enabled = ['vulkan_enable_f16_on_nvidia'];
  if (options.disableRobustness) enabled.push('disable_robustness');
  if (experimental.length > 0) enabled.push('allow_unsafe_apis');
  const toggles = ['disable-dawn-features=timestamp_quantization', `enable-dawn-features=${enabled.join()}`];
  // Mesa warns on stderr where this is unset.
  process.env.XDG_RUNTIME_DIR ??= '/tmp';
  const entry = create(toggles);
  try {
    const gpu = await Gpu.open(entry, { ...options, features });
    instances.set(gpu, entry);
    const { kind, subgroupSize } = gpu.capabilities;
    // SwiftShader, whose subgroups are four wide, has a thread at work on every core from the beginning: what takes 0.3 to 1
    // ms is done 1.2 to 1.6 times sooner without a rival. On lavapipe the end of what takes less would be overslept.
    if (kind === 'cpu') {
      gpu.patience = subgroupSize === 4 ? patientWait(0) : patientWait();
      shortenRests();
    }
    if (kind === 'cpu' && !options.keepPriority) {
      // Dawn polls from this thread while a promise is pending and would take a core from the rasteriser's workers;
      // they were started by requestDevice, so the lower priority is this thread's alone.
      try {
        setPriority(0, constants.priority.PRIORITY_LOW);
      } catch {
        // not permitted: slower, nothing else
      }
    }
    return gpu;
  } catch (error) {
    if (error instanceof NoAdapterError) return undefined;
    throw error;
  }
}

/**
 * Dawn opens `libvulkan.so.1` by name. Where the system has none, loading the packaged one into the process beforehand
 * makes that name resolve; the loader then finds its only driver through the environment.
 */
function loadVulkanFrom(folder: string): void {
  process.env.VK_ICD_FILENAMES = `${folder}/vk_swiftshader_icd.json`;
  process.env.VK_DRIVER_FILES = process.env.VK_ICD_FILENAMES;
  const loader = `${folder}/libvulkan.so.1`;
  if (!existsSync(loader)) return;
  const { RTLD_NOW, RTLD_GLOBAL } = constants.dlopen;
  const RTLD_NODELETE = 0x1000;
  try {
    process.dlopen({ exports: {} }, loader, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
  } catch {
    // "Module did not self-register": it is no addon. It stays loaded, which is all that is wanted.
  }
}

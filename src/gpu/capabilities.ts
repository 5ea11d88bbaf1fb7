/** What products are multiplied in. `f16` adds up in float32 all the same. */
export type Precision = 'f32' | 'f16';

/** What the adapter at hand can do: everything that the choice of a kernel variant may depend on. */
export interface Capabilities {
  /** A software rasteriser (lavapipe, SwiftShader, WARP) or real hardware. */
  kind: 'gpu' | 'cpu';
  name: string;
  vendor: string;
  architecture: string;
  driver: string;
  /** Lanes per subgroup where the adapter has one fixed size; undefined where it has none or may vary it. */
  subgroupSize?: number;
  f16: boolean;
  /** `dot4I8Packed` and its relatives. */
  packedDot: boolean;
  timestamps: boolean;
  /** Arguments that may travel with a dispatch (`var<immediate>`), bytes; 0 where the device has none. */
  immediateBytes: number;
  maxInvocations: number;
  maxWorkgroupMemory: number;
  maxWorkgroupsPerDimension: number;
  maxBindingBytes: number;
  maxBufferBytes: number;
  /** Alignment of a storage binding's offset, bytes. */
  storageAlignment: number;
  uniformAlignment: number;
  /** Variants that were measured to be the fastest here; absent: kernels choose by rule. See `Gpu.useTuned`. */
  tuned?: TunedChoices | undefined;
  /** Products by subgroup matrices, where they were asked for and the device has them; see `useSubgroupMatrices`. */
  matrices?: MatrixProducts | undefined;
  /** What a plan's products are multiplied in; absent: float32. A plan's own, see `choosePrecision`. */
  precision?: Precision | undefined;
}

/** Choices that were measured, for kernels with several variants; `tunedChoices` makes them of a table. */
export interface TunedChoices {
  /** What the kernel of that name takes at a shape, in the kernel's own form; undefined leaves it to its rule. */
  choose<Plan>(
    kernel: string,
    adapter: Pick<Capabilities, 'kind' | 'subgroupSize' | 'matrices'>,
    shape: object,
  ): Plan | undefined;
}

/** A kernel for products that is loaded where it was asked for alone: what the others need to know of it. */
export interface MatrixProducts {
  /** Takes what the tiled product takes. */
  readonly shader: object;
  /** The rule's choice of a cut, in the products' own form; undefined leaves a product to the other variants. */
  choose<Cut>(adapter: Pick<Capabilities, 'kind' | 'subgroupSize'>, shape: object): Cut | undefined;
  /** All cuts that the device can run. */
  cuts<Cut>(shape: object): Cut[];
}

/** Where the choices for an adapter come from; undefined leaves all to the rules. */
export type TunedSource = (capabilities: Capabilities) => TunedChoices | undefined | Promise<TunedChoices | undefined>;

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|software|warp|basic render/i;

export function readCapabilities(
  device: GPUDevice,
  info: GPUAdapterInfo,
  languageFeatures: ReadonlySet<string>,
): Capabilities {
  const has = (feature: string) => device.features.has(feature as GPUFeatureName);
  const { limits } = device;
  const fixed = info.subgroupMinSize === info.subgroupMaxSize ? info.subgroupMinSize : undefined;
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return {
    kind: SOFTWARE.test(text) || info.isFallbackAdapter ? 'cpu' : 'gpu',
    name: info.device || info.description || info.architecture || info.vendor || 'unknown',
    vendor: info.vendor,
    architecture: info.architecture,
    driver: info.description,
    subgroupSize: has('subgroups') && fixed ? fixed : undefined,
    f16: has('shader-f16'),
    packedDot: languageFeatures.has('packed_4x8_integer_dot_product'),
    timestamps: has('timestamp-query'),
    immediateBytes: languageFeatures.has('immediate_address_space') ? (limits.maxImmediateSize ?? 0) : 0,
    maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupMemory: limits.maxComputeWorkgroupStorageSize,
    maxWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    maxBindingBytes: limits.maxStorageBufferBindingSize,
    maxBufferBytes: limits.maxBufferSize,
    storageAlignment: limits.minStorageBufferOffsetAlignment,
    uniformAlignment: limits.minUniformBufferOffsetAlignment,
  };
}

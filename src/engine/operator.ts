import type { Capabilities } from '../gpu/capabilities.ts';
import type { InferShape } from '../graph/shapes.ts';
import type { Graph, Node, Tensor } from '../graph/types.ts';
import type { Operand } from '../kernels/kernel.ts';
import type { ActivationInput, CodesOutput, LayerKernels, PackedLayer } from '../kernels/layerFamily.ts';
import type { Builder } from './builder.ts';
import type { Value } from './value.ts';

/**
 * What an initializer is to the operator that reads it. `weight`, `bias`, `norm` (a normalisation's scale or shift) and
 * `scale` (a quantizer's step) are trained, the first with weight decay and open to pruning; `state` is kept up by the
 * forward pass in training (running statistics); `constant` never changes.
 */
export type Role = 'weight' | 'bias' | 'norm' | 'scale' | 'state' | 'constant';

/** Both ends of a range. */
export interface Bounds {
  lo: number;
  hi: number;
}

interface NodeContext {
  readonly node: Node;
  readonly builder: Builder;
  /** Batch statistics and their upkeep, rather than the running statistics of evaluation. */
  readonly training: boolean;
  /** The value at an input; throws where it is absent or only known on the host. */
  input(index: number): Value<'f32'>;
  hasInput(index: number): boolean;
  inputShape(index: number): readonly number[];
  outputShape(index?: number): readonly number[];
  /** The initializer at an input, for operands that only shape the work (pads, axes, …). */
  constant(index: number): Tensor | undefined;
  /** Kept from the forward to the backward pass of this node. */
  readonly saved: Map<string, Value>;
}

export interface PackedInputs {
  readonly weights: PackedLayer;
  readonly kernels: LayerKernels;
  readonly bias: Operand<'f32'> | undefined;
}

export interface ForwardContext extends NodeContext {
  /** Where the operator `canBound`: what output 0 has to be clamped to, if anything. */
  readonly bounds: Bounds | undefined;
  /** Where the operator `canAdd`: what is added to output 0 before it is clamped, of output 0's shape. */
  readonly residual: Value<'f32'> | undefined;
  /**
   * The weights at an input, where they are on the GPU in packed form, and the bias at another, which may be too. Then
   * there is no `input` of either. Records what they need before the layer.
   */
  packed(index: number, bias?: number): PackedInputs | undefined;
  /** Input 0 as the node is to quantize it, where the weights are packed as int8. Then there is no `input(0)`. */
  readonly quantizedInput: ActivationInput | undefined;
  /** Where output 0 may be written as codes too, or instead: what for. Floats are not wanted where `onlyCodes`. */
  readonly codesOutput: (CodesOutput & { onlyCodes: boolean }) | undefined;
  /** The output's tensor, made at the first call. The operator must write all of it. */
  output(index?: number): Value<'f32'>;
  /** Declares an output to be the same elements as another value (Reshape and its like): costs nothing. */
  alias(index: number, value: Value<'f32'>): void;
}

export interface BackwardContext extends NodeContext {
  /** What the forward pass computed. */
  output(index?: number): Value<'f32'>;
  /** Gradient of the loss by an output. Only nodes whose output 0 has one are asked to go backward. */
  outputGradient(index?: number): Value<'f32'>;
  /** Whether the gradient by an input is asked for. */
  wants(index: number): boolean;
  /** The tensor to write the gradient by an input to, all of it, once. Contributions of several consumers are added by the engine. */
  inputGradient(index: number): Value<'f32'>;
  /** Declares the gradient by an input to be the elements of another value, unchanged. */
  passGradient(index: number, value: Value<'f32'>): void;
}

/** One operator (of ONNX, or our own): everything that the rest of the house knows of it. */
export interface Operator {
  readonly op: string;
  readonly infer: InferShape;
  /** Attributes it understands; a node with any other is refused before work begins. */
  readonly attributes: readonly string[];
  /** Throws InputError, naming the node, for a setting that is understood but not supported. */
  check?(node: Node, shapes: (readonly number[] | undefined)[]): void;
  /** Roles of the inputs that may be initializers; `constant` for those not named. */
  roles?(node: Node, graph: Graph): Readonly<Record<number, Role>>;
  /** The bounds, for an operator that clamps its input 0 and does nothing else. */
  clamps?(node: Node, constant: (index: number) => Tensor | undefined): Bounds;
  /**
   * Its forward pass heeds `context.bounds`, so that a clamp after it costs no pass of its own. Its backward pass must
   * not read output 0, which holds the clamp's result then.
   */
  readonly canBound?: boolean;
  /** Its forward pass heeds `context.residual`, so that an addition after it costs no pass of its own. */
  readonly canAdd?: boolean;
  forward(context: ForwardContext): void;
  /** Fetches `forward`, where it is a module of its own (see ops/lazily.ts), or variants of it that the plan may need. */
  load?(use: PlanUse): Promise<void>;
}

/** What is known of a plan before it is recorded. */
export interface PlanUse {
  readonly graph: Graph;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly capabilities: Capabilities;
  /** The form of an initializer's packed weights; undefined for floats, which all are where this is absent. */
  formOf?(name: string): PackedLayer['form'] | undefined;
}

/**
 * The other half of an operator: gradients by its inputs. Kept apart from `Operator`, in a table of its own in the
 * operator's module, so that what only runs networks does not carry it along.
 */
export type Gradients = Readonly<Record<string, (context: BackwardContext) => void>>;

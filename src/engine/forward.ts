import { InputError } from '../graph/errors.ts';
import type { Graph, Node } from '../graph/types.ts';
import type { ActivationInput, PackedLayer } from '../kernels/layerFamily.ts';
import { absorbAdds, absorbClamps } from './absorb.ts';
import type { Builder } from './builder.ts';
import type { ForwardContext } from './operator.ts';
import type { ParameterSource } from './parameters.ts';
import { quantizedLayers } from './quantizedInputs.ts';
import { findOperator } from './registry.ts';
import type { Derive, Derived, Value } from './value.ts';

export interface ForwardRequest {
  builder: Builder;
  /** Specialised: every shape static, everything that can be folded is. */
  graph: Graph;
  shapes: ReadonlyMap<string, readonly number[]>;
  store: ParameterSource;
  inputs: ReadonlyMap<string, Value<'f32'>>;
  training: boolean;
  /** No backward pass follows and nobody reads what lies between the nodes: additions may be done by the node before. */
  inferenceOnly?: boolean;
  /** Of a plan whose parameters never change: the place for what is made of one of them once. */
  derive?(name: string, key: string, bytes: number): Derived;
  /** Put before the labels, to tell a teacher's dispatches from a student's. */
  prefix?: string;
}

/** What the forward pass leaves behind for the backward pass. */
export interface Tape {
  readonly request: ForwardRequest;
  readonly values: Map<string, Value<'f32'>>;
  readonly saved: Map<Node, Map<string, Value>>;
}

/** Records the forward pass of a graph. */
export function recordForward(request: ForwardRequest): Tape {
  const recording = recordingForward(request);
  let step = recording.next();
  while (!step.done) step = recording.next();
  return step.value;
}

/** As `recordForward`, node by node, for those who do something else in between. */
export function* recordingForward(request: ForwardRequest): Generator<undefined, Tape> {
  const { builder, graph, shapes, store, training, derive } = request;
  const values = new Map<string, Value<'f32'>>(request.inputs);
  for (const name of graph.initializers.keys()) {
    const parameter = store.find(name);
    const place: Derive | undefined = derive && ((key, bytes) => derive(name, key, bytes));
    if (parameter) values.set(name, builder.persistent(store.slice(name), parameter.shape, 'f32', name, place));
  }
  const saved = new Map<Node, Map<string, Value>>();
  const absorbed = absorbClamps(graph);
  const additions = request.inferenceOnly ? absorbAdds(graph, shapes) : new Map<Node, never>();
  const done = new Set([...absorbed.values()].map(({ clamp }) => clamp));
  for (const { add } of additions.values()) done.add(add);
  const quantized = quantizedLayers(graph, shapes, store);
  for (const node of quantized.idle) done.add(node);
  const codes = new Map<string, ActivationInput['codes']>();
  /** Codes of a quantizer's output, which layers that read the same activations share. */
  const codesOf = (name: string) => {
    const known = codes.get(name) ?? new Map();
    codes.set(name, known);
    return known;
  };
  const activationInput = (node: Node): ActivationInput | undefined => {
    const quantizer = quantized.inputs.get(node);
    if (!quantizer) return undefined;
    const padding = quantized.images.get(node.inputs[0])?.padding;
    return { x: values.get(quantizer.value), quantizer, padding, codes: codesOf(node.inputs[0]) };
  };
  const codesOutput = (name: string) => {
    const images = quantized.written.get(name);
    return images && { quantizer: images, ...images, codes: codesOf(images.codes) };
  };
  for (const node of graph.nodes) {
    if (done.has(node)) continue;
    const operator = findOperator(node.op);
    if (!operator) throw new InputError(`Node ${node.name}: operator ${node.op} is not supported`);
    const memory = new Map<string, Value>();
    saved.set(node, memory);
    builder.context = `${request.prefix ?? ''}${node.name}`;
    const addition = additions.get(node);
    const after = absorbed.get(addition?.add ?? node);
    const nodeAccess = accessNode({ node, graph, shapes, values, builder, training, saved: memory });
    const context: ForwardContext = {
      ...nodeAccess,
      bounds: after?.bounds,
      residual: addition && values.get(addition.other),
      quantizedInput: activationInput(node),
      codesOutput: codesOutput((after?.clamp ?? addition?.add ?? node).outputs[0]),
      packed(index, biasIndex = -1) {
        const [name = '', bias = ''] = [node.inputs[index], node.inputs[biasIndex]];
        const stored = store.packed?.(name);
        if (!stored) return undefined;
        const { slice, layer, kernels } = stored;
        const made = stored.expand?.(builder, slice, store.half?.(bias));
        const given = bias && !made?.bias ? nodeAccess.input(biasIndex) : undefined;
        const operand = made?.operand ?? builder.persistent(slice, [slice.size / 4], 'u32', name);
        return { weights: { ...layer, operand } as PackedLayer, kernels, bias: made?.bias ?? given };
      },
      output(index = 0) {
        const name = node.outputs[index];
        let value = values.get(name);
        if (!value) {
          value = builder.tensor(nodeAccess.outputShape(index), 'f32', name);
          values.set(name, value);
          // The backward pass finds it under all its names.
          if (addition && index === 0) values.set(addition.add.outputs[0], value);
          if (after && index === 0) values.set(after.clamp.outputs[0], value);
        }
        return value;
      },
      alias(index, value) {
        values.set(node.outputs[index], builder.view(value, nodeAccess.outputShape(index)));
      },
    };
    operator.forward(context);
    yield;
  }
  builder.context = '';
  return { request, values, saved };
}

/** The part of a node's context that both directions share. */
export function accessNode(known: {
  node: Node;
  graph: Graph;
  shapes: ReadonlyMap<string, readonly number[]>;
  values: ReadonlyMap<string, Value<'f32'>>;
  builder: Builder;
  training: boolean;
  saved: Map<string, Value>;
}) {
  const { node, graph, shapes, values, builder, training, saved } = known;
  const shapeOf = (name: string): readonly number[] => {
    const shape = shapes.get(name) ?? graph.initializers.get(name)?.shape;
    if (!shape) throw new InputError(`Node ${node.name}: the shape of ${name || 'an absent input'} is not known`);
    return shape;
  };
  return {
    node,
    builder,
    training,
    saved,
    input(index: number): Value<'f32'> {
      const value = values.get(node.inputs[index]);
      if (!value)
        throw new InputError(
          `Node ${node.name}: input ${index} (${node.inputs[index] ?? 'absent'}) is no float tensor on the GPU`,
        );
      return value;
    },
    hasInput: (index: number) => Boolean(node.inputs[index]),
    inputShape: (index: number) => shapeOf(node.inputs[index]),
    outputShape: (index = 0) => shapeOf(node.outputs[index]),
    constant: (index: number) => graph.initializers.get(node.inputs[index]),
  };
}

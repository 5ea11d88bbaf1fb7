import { InputError } from '../graph/errors.ts';
import { add } from '../kernels/add.ts';
import { accessNode, type Tape } from './forward.ts';
import type { BackwardContext } from './operator.ts';
import { findGradient } from './ops/gradients.ts';
import type { Value } from './value.ts';

export interface BackwardRequest {
  /** Gradients of the loss by some of the tape's values (usually the logits). */
  seeds: ReadonlyMap<string, Value<'f32'>>;
  /**
   * Where to put the gradients that are asked for, by the name of a parameter or an input. A parameter that the loss
   * does not depend on has its target cleared.
   */
  targets: ReadonlyMap<string, Value<'f32'>>;
}

/** Records reverse-mode differentiation of what the tape holds. */
export function recordBackward(tape: Tape, request: BackwardRequest): void {
  const { request: forward, values, saved } = tape;
  const { builder, graph, shapes, training } = forward;
  const needed = dependents(tape, request.targets);
  const gradients = new Map<string, Value<'f32'>>();
  const landed = new Set<string>();

  /** Adds a contribution to the gradient of a value. The first one is taken as it is, without a copy. */
  const contribute = (name: string, contribution: Value<'f32'>) => {
    const known = gradients.get(name);
    const target = request.targets.get(name);
    if (!known) {
      if (target && contribution.storage !== target.storage)
        builder.copy(contribution, builder.view(target, contribution.shape));
      gradients.set(name, target ?? contribution);
      if (target) landed.add(name);
      return;
    }
    const sum = builder.tensor(known.shape, 'f32', `gradient of ${name}`);
    add(builder, { a: known, b: contribution, out: sum, label: 'sum of gradients' });
    if (target) builder.copy(sum, builder.view(target, sum.shape));
    gradients.set(name, target ?? sum);
  };

  for (const [name, seed] of request.seeds) if (needed.has(name)) contribute(name, seed);

  for (const node of [...graph.nodes].reverse()) {
    const wanted = node.inputs.map((name) => needed.has(name));
    if (!wanted.includes(true) || !node.outputs.some((name) => gradients.has(name))) continue;
    const backward = findGradient(node.op);
    if (!backward)
      throw new InputError(
        `Node ${node.name}: operator ${node.op} passes no gradient on, so the model cannot be trained`,
      );
    builder.context = `${forward.prefix ?? ''}${node.name} backward`;
    const pending: [string, Value<'f32'>][] = [];
    const context: BackwardContext = {
      ...accessNode({ node, graph, shapes, values, builder, training, saved: saved.get(node) ?? new Map() }),
      output(index = 0) {
        return values.get(node.outputs[index]) as Value<'f32'>;
      },
      outputGradient(index = 0) {
        const gradient = gradients.get(node.outputs[index]);
        if (!gradient) throw new Error(`${node.name}: output ${index} has no gradient`);
        return builder.view(gradient, (values.get(node.outputs[index]) as Value<'f32'>).shape);
      },
      wants: (index) => wanted[index] ?? false,
      inputGradient(index) {
        const name = node.inputs[index];
        const shape = (values.get(name) as Value<'f32'>).shape;
        // The first contribution to a parameter's gradient goes straight to its place in the arena.
        const target =
          gradients.has(name) || pending.some(([other]) => other === name) ? undefined : request.targets.get(name);
        const value = target ? builder.view(target, shape) : builder.tensor(shape, 'f32', `gradient of ${name}`);
        pending.push([name, value]);
        return value;
      },
      passGradient(index, value) {
        const name = node.inputs[index];
        pending.push([name, builder.view(value, (values.get(name) as Value<'f32'>).shape)]);
      },
    };
    backward(context);
    for (const [name, value] of pending) contribute(name, value);
  }
  builder.context = '';
  for (const [name, target] of request.targets) if (!landed.has(name)) builder.clear(target, `no gradient for ${name}`);
}

/** Names of the values through which a target influences the result. */
function dependents(tape: Tape, targets: ReadonlyMap<string, Value<'f32'>>): Set<string> {
  const needed = new Set<string>(targets.keys());
  for (const node of tape.request.graph.nodes) {
    if (node.inputs.some((name) => needed.has(name))) for (const name of node.outputs) if (name) needed.add(name);
  }
  return needed;
}

import { recordBackward } from '../../src/engine/backward.ts';
import { Builder } from '../../src/engine/builder.ts';
import { checkGraph } from '../../src/engine/check.ts';
import { recordForward } from '../../src/engine/forward.ts';
import { ParameterStore } from '../../src/engine/parameters.ts';
import { inferOperator, loadOperators } from '../../src/engine/registry.ts';
import type { Value } from '../../src/engine/value.ts';
import type { Gpu } from '../../src/gpu/gpu.ts';
import { inferShapes } from '../../src/graph/shapes.ts';
import type { Graph } from '../../src/graph/types.ts';

export interface GraphRun {
  graph: Graph;
  /** The graph's inputs by name; shapes come from `graph.inputs`, which must be static. */
  inputs: Readonly<Record<string, Float32Array<ArrayBuffer>>>;
  training?: boolean;
  /** As a forward pass that no backward pass follows. */
  inferenceOnly?: boolean;
  /** Gradients of the loss by graph outputs. Without any, only the forward pass runs. */
  seeds?: Readonly<Record<string, Float32Array<ArrayBuffer>>>;
  /** Names of graph inputs and initializers whose gradients are wanted. */
  wanted?: readonly string[];
}

export interface GraphResult {
  outputs: Record<string, Float32Array<ArrayBuffer>>;
  gradients: Record<string, Float32Array<ArrayBuffer>>;
  shapes: Map<string, number[]>;
  dispatches: number;
}

/**
 * Runs a static graph forward, and backward where seeds are given, through the engine as it stands: nothing is folded
 * or rewritten, so that what runs is what the test wrote down. The plan is replayed twice, which a plan must survive.
 */
export async function runGraph(gpu: Gpu, run: GraphRun): Promise<GraphResult> {
  const { graph, training = false, inferenceOnly = false, seeds = {}, wanted = [] } = run;
  const inputShapes = new Map(graph.inputs.map(({ name, shape }) => [name, shape as number[]]));
  const shapes = inferShapes(graph, inferOperator, inputShapes);
  checkGraph(graph, shapes);
  const store = new ParameterStore(gpu, graph);
  const builder = new Builder(gpu);
  const own = (name: string, label: string) => {
    const shape = shapes.get(name);
    if (!shape) throw new Error(`The shape of ${name} is not known`);
    return builder.own(shape, 'f32', label);
  };
  const inputs = new Map(graph.inputs.map(({ name }) => [name, own(name, name)]));
  await loadOperators({ graph, shapes, capabilities: gpu.capabilities });
  const tape = recordForward({ builder, graph, shapes, store, inputs, training, inferenceOnly });
  const results = new Map<string, Value<'f32'>>();
  for (const { name } of graph.outputs) {
    const value = tape.values.get(name);
    if (!value) throw new Error(`Output ${name} is not computed`);
    builder.keep(value);
    results.set(name, value);
  }
  const seedValues = new Map(Object.keys(seeds).map((name) => [name, own(name, `seed of ${name}`)]));
  const targets = new Map(wanted.map((name) => [name, own(name, `gradient of ${name}`)]));
  if (seedValues.size > 0) recordBackward(tape, { seeds: seedValues, targets });
  const compiled = await builder.compile('test');
  try {
    const write = (value: Value, data: Float32Array<ArrayBuffer>) => {
      if (data.length !== value.elements) throw new Error(`${data.length} numbers for ${value.elements}`);
      if (data.length > 0) gpu.write(compiled.locate(value), data);
    };
    for (const [name, value] of inputs) write(value, run.inputs[name] ?? new Float32Array());
    for (const [name, value] of seedValues) write(value, seeds[name]!);
    // Whatever a replay does not write itself must not pass for a result.
    for (const value of targets.values()) write(value, new Float32Array(value.elements).fill(Number.NaN));
    if (!training) compiled.plan.replay();
    compiled.plan.replay();
    const read = async (values: ReadonlyMap<string, Value<'f32'>>) => {
      const entries: [string, Float32Array<ArrayBuffer>][] = [];
      for (const [name, value] of values) {
        entries.push([name, value.elements === 0 ? new Float32Array() : await gpu.readFloats(compiled.locate(value))]);
      }
      return Object.fromEntries(entries);
    };
    const dispatches = compiled.plan.dispatchCount;
    return { outputs: await read(results), gradients: await read(targets), shapes, dispatches };
  } finally {
    compiled.dispose();
    store.dispose();
  }
}

import { type DenseWeights, packingDense } from './denseWeights.ts';
import { expandRows, type RowExpansion } from './expandRows.ts';
import type { Int8Weights } from './int8Weights.ts';
import type { PackedWeights, StoredWeights } from './layerFamily.ts';
import { denseRowLayout, int8RowLayout } from './rowLayout.ts';
import { type CodingName, encodingRows, type RowFields } from './rowStreams.ts';
import { copying, finish, inSteps, type Steps } from './steps.ts';
import { groupsPerRow, type WeightMatrix } from './weightMatrix.ts';

/**
 * Keeps a layer's weights smaller than its kernel reads them: as streams of rows, from which every run makes the words of
 * the form in a temporary, which shares memory with activations.
 * @param weights the form that its kernel reads
 * @param only the coding; by default the one that takes least
 * @returns undefined where the form cannot be made of streams (sparse ones, codes without a common zero), or where these
 * would take as much
 */
export function storeWeights(...call: Parameters<typeof storingWeights>): StoredWeights | undefined {
  return finish(storingWeights(...call));
}

export function* storingWeights(
  matrix: WeightMatrix,
  weights: PackedWeights,
  only?: CodingName,
): Steps<StoredWeights | undefined> {
  if (matrix.rows * matrix.k === 0) return undefined;
  const made =
    weights.form === 'int8'
      ? yield* int8Fields(matrix, weights)
      : weights.form === 'dense'
        ? yield* denseFields(matrix)
        : undefined;
  if (!made) return undefined;
  const { fields, form, ...expansion } = made;
  const { words, ...streams } = yield* encodingRows(fields, only);
  if (words.length >= weights.words.length && !only) return undefined;
  const { words: own, ...layer } = form;
  const whole: RowExpansion = {
    ...{ ...expansion, layout: fields.layout, streams, zero: fields.offset, words: own.length },
  };
  // Kept as long as the model is, so it must not hold on to the matrix.
  const biasRows = matrix.rows;
  return {
    layer,
    words,
    coding: streams.coding,
    expand: (recorder, call) => expandRows(recorder, whole, { ...call, biasRows }),
  };
}

type Made = Pick<RowExpansion, 'scales' | 'paddedScales' | 'out'> & { fields: RowFields; form: PackedWeights };

function* int8Fields(matrix: WeightMatrix, form: Int8Weights): Steps<Made | undefined> {
  const { rows, values } = matrix;
  if (values.kind !== 'int') return undefined;
  return {
    fields: {
      ...{
        layout: int8RowLayout(form),
        levels: yield* findingLevels(matrix),
        offset: 0,
        scale: values.scale.subarray(0, rows),
      },
      tail: new Uint32Array(0),
    },
    form,
    scales: rows,
    paddedScales: 4 * Math.ceil(rows / 4),
    out: { ...form.at, tail: 0 },
  };
}

function* denseFields(matrix: WeightMatrix): Steps<Made | undefined> {
  const { rows, k, values } = matrix;
  const none = { scales: 0, paddedScales: 0, out: { scales: 0, sums: undefined, tail: 0 } };
  const empty = { offset: 0, scale: new Float32Array(0), tail: new Uint32Array(0) };
  if (values.kind === 'f32' || values.kind === 'f16') {
    const form = yield* packingDense(matrix);
    return {
      fields: {
        ...empty,
        layout: layoutOf(form),
        levels: yield* findingFloatLevels(values),
        floatBits: values.kind === 'f32' ? 32 : 16,
      },
      form,
      ...none,
    };
  }
  if (values.kind !== 'int') return undefined;
  const levels = yield* findingLevels(matrix);
  const bits = yield* findingPlaneBits(levels);
  if (bits === undefined) return undefined;
  const hasOneScale = groupsPerRow(matrix, values.group) <= 1;
  const { zero: _, ...rest } = values;
  const form = yield* packingDense({
    ...{ rows, k },
    values: { ...rest, bits, codes: yield* shortened(levels), halfScale: values.halfScale && !hasOneScale },
  });
  const fields = { levels, layout: layoutOf(form), offset: 2 ** (bits - 1) };
  if (!hasOneScale) {
    const tail = form.words.subarray(form.at.scales);
    return { fields: { ...empty, ...fields, tail }, form, ...none, out: { ...none.out, tail: form.at.scales } };
  }
  return {
    fields: { ...empty, ...fields, scale: values.scale.subarray(0, rows) },
    form,
    ...{ scales: rows, paddedScales: rows, out: { ...none.out, scales: form.at.scales } },
  };
}

const layoutOf = (form: DenseWeights) => denseRowLayout(form) as NonNullable<ReturnType<typeof denseRowLayout>>;

/** Levels that have been found to fit a plane's bits. */
function* shortened(levels: Int16Array | Int32Array): Steps<Int16Array> {
  return levels instanceof Int16Array ? levels : yield* copying(levels, new Int16Array(levels.length));
}

/** Codes less their zero points; the codes themselves where they have none. */
function* findingLevels(matrix: WeightMatrix): Steps<Int16Array | Int32Array> {
  const { rows, k, values } = matrix;
  if (values.kind !== 'int') throw new Error(`Weights of ${values.kind} have no levels`);
  const { codes, zero, group } = values;
  if (!zero) return codes;
  const levels = new Int32Array(codes.length);
  const groups = groupsPerRow(matrix, group);
  yield* inSteps(
    rows,
    (begin, end) => {
      for (let row = begin; row < end; row++) {
        for (let i = 0; i < k; i++) {
          const at = row * k + i;
          levels[at] = codes[at]! - zero[row * groups + Math.floor(i / group)]!;
        }
      }
    },
    k,
  );
  return levels;
}

/** Bits of the floats; of either zero, none. */
function* findingFloatLevels(values: Extract<WeightMatrix['values'], { kind: 'f32' | 'f16' }>): Steps<Int32Array> {
  const { data } = values;
  const [bits, magnitude] =
    values.kind === 'f16' ? [data, 0x7fff] : [new Int32Array(data.buffer, data.byteOffset, data.length), 0x7fffffff];
  const levels = new Int32Array(data.length);
  yield* inSteps(levels.length, (begin, end) => {
    for (let i = begin; i < end; i++) levels[i] = (bits[i]! & magnitude) === 0 ? 0 : bits[i]!;
  });
  return levels;
}

/** Bits of a plane that holds the levels around its middle code. */
function* findingPlaneBits(levels: Int16Array | Int32Array): Steps<number | undefined> {
  let low = 0;
  let high = 0;
  yield* inSteps(levels.length, (begin, end) => {
    for (let i = begin; i < end; i++) {
      const level = levels[i]!;
      if (level < low) low = level;
      if (level > high) high = level;
    }
  });
  return [1, 2, 4, 8].find((bits) => low >= -(2 ** (bits - 1)) && high < 2 ** (bits - 1));
}

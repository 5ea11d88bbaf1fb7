/** Long work on the host in steps of well below a frame: it yields between them, and returns what it made. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Elements of a step: a millisecond or less. */
export const STEP = 1 << 14;

/** Does it at one go. */
export function finish<T>(steps: Steps<T>): T {
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/** Does it with a chance to pause between the steps. */
export async function finishPausing<T>(steps: Steps<T>, pause: () => Promise<void>): Promise<T> {
  let step = steps.next();
  for (; !step.done; step = steps.next()) await pause();
  return step.value;
}

/**
 * Copies into `target`, whose elements may be of another type. Large arrays are copied in no other way: an allocation is
 * cheap, but the first write to each page of it waits for memory, which for some megabytes at once takes longer than a
 * frame.
 */
export function* copying<T extends TypedArray>(source: TypedArray, target: T): Steps<T> {
  yield* inSteps(source.length, (begin, end) => target.set(source.subarray(begin, end), begin));
  return target;
}

type TypedArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array;

/**
 * Calls `work` for one range after another of 0 … count − 1, each of about STEP elements.
 * @param elementsEach of one of those that are counted, a row for example; without it, ranges begin at multiples of 8
 */
export function* inSteps(count: number, work: (begin: number, end: number) => void, elementsEach = 1): Steps<void> {
  const length = Math.max(1, Math.floor(STEP / Math.max(1, elementsEach)));
  for (let begin = 0; begin < count; begin += length) {
    work(begin, Math.min(count, begin + length));
    yield;
  }
}

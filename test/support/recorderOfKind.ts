import type { Recorder } from '../../src/kernels/kernel.ts';

/** The same recorder, claiming another kind of adapter: so that the variants for GPUs are tested where there is none. */
export function recorderOfKind(recorder: Recorder, kind: 'gpu' | 'cpu'): Recorder {
  return {
    capabilities: { ...recorder.capabilities, kind },
    dispatch: (shader, call) => recorder.dispatch(shader, call),
    temporary: (dtype, elements, label) => recorder.temporary(dtype, elements, label),
  };
}

/** Kinds to test: on the slow adapter only its own, since the variants for GPUs are run once already. */
export const KINDS: readonly ('gpu' | 'cpu')[] =
  process.env.WGSLIM_ADAPTER === 'swiftshader' ? ['cpu'] : ['gpu', 'cpu'];

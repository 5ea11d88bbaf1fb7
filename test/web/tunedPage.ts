/** What a page takes that tunes a network and runs it. */
export { Gpu } from '../../src/gpu/index.ts';
export {
  adapterKey,
  ChoiceListener,
  indexedDbTuning,
  mergeInto,
  storedChoices,
  tableOf,
  tune,
} from '../../src/kernels/index.ts';
export { load } from '../../src/web.ts';

export { indexedDbTuning } from './indexedDb.ts';
export { type MeasureOptions, type TuneResult, type TuneSubject, tuneSubject } from './measure.ts';
export { adapterKey, mergeInto, type TuningStore } from './store.ts';
export { storedChoices } from './storedChoices.ts';
export { subjectOf } from './subjects.ts';
export { ChoiceListener, type TuneOptions, type TuneReport, tableOf, tune } from './tune.ts';
export { tunedChoices } from './variants.ts';

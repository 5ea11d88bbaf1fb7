/** `wgslim/web`: the runtime alone, for browsers. */
export type { ModelMeta } from './format/meta.ts';
export type { Precision, TunedChoices, TunedSource } from './gpu/capabilities.ts';
export * from './gpu/errors.ts';
export { InputError } from './graph/errors.ts';
export type { DeviceOption } from './runtime/devices.ts';
export type { ImageSource } from './runtime/images.ts';
export type { InputValue, ShapedInput } from './runtime/inputs.ts';
export { load, type WebLoadOptions as LoadOptions } from './runtime/load.ts';
export type { LoadProgress } from './runtime/readModel.ts';
export type { ModelMemory } from './runtime/session.ts';
export { FetchError, type ModelSource } from './runtime/source.ts';
export type { Model, ModelValue } from './runtime/webModel.ts';

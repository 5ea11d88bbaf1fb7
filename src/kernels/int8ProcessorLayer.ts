import { int8LayerWith } from './int8Layer.ts';
import { int8Processor } from './int8Processor.ts';

/** Bytes times bytes, on adapters of every kind. */
export const int8ProcessorLayer = int8LayerWith(int8Processor);

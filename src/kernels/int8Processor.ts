import { int8ConvSubgroupShader, int8DenseSubgroupShader } from './generated/int8_processor.ts';

/** Int8 kernels for adapters that run on a CPU, which pages on a GPU do not load. */
export const int8Processor = { tiles: int8ConvSubgroupShader, dense: int8DenseSubgroupShader };

export type Int8Processor = typeof int8Processor;

/** What page and worker tell each other. */
import type { CompressEvent, StageResult } from '../../../src/compress/compress.ts';

/** A file that the visitor chose, or that came with the page. */
export interface NamedBytes {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

export interface Start {
  kind: 'start';
  onnx: NamedBytes;
  /** IDX files: images and labels, of a training set and, where there is one, of a test set. */
  data: NamedBytes[];
  /** JSON, as `wgslim compress --recipe` takes it. */
  recipe: string;
}

export type ToWorker = Start | { kind: 'stop' };

export type FromWorker =
  | { kind: 'progress'; event: CompressEvent }
  | { kind: 'data'; train: number; test: number; adapter: string }
  | { kind: 'done'; file: Uint8Array<ArrayBuffer>; stages: StageResult[]; originalBytes: number; originalTop1: number }
  | { kind: 'stopped' }
  | { kind: 'failed'; message: string };

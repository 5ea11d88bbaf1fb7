import { typedArrayFromBytes } from '../graph/tensor.ts';
import { float16ToFloat32, float16ToNumber, float32ToFloat16 } from '../kernels/float16.ts';
import { packBits, packedBytes, unpackBits } from './bits.ts';
import { bytesOf, concatBytes } from './bytes.ts';

/** Bytes per scale: 2 where every scale is a binary16 value, so that nothing is lost; else 4. */
export function scaleWidth(scale: Float32Array): 2 | 4 {
  return float32ToFloat16(scale).every((half, i) => Object.is(float16ToNumber(half), scale[i])) ? 2 : 4;
}

/** Scales, then zero points of `bits` bits. */
export function scaleBytes(scale: Float32Array, zeroPoint: Int32Array | undefined, bits: number): Uint8Array {
  const scales = bytesOf(scaleWidth(scale) === 2 ? float32ToFloat16(scale) : scale);
  return concatBytes(scales, zeroPoint ? packBits(zeroPoint, bits) : new Uint8Array(0));
}

/** Length of what `scaleBytes` makes. */
export function scaleSectionBytes(count: number, width: number, hasZeroPoint: boolean, bits: number): number {
  return count * width + (hasZeroPoint ? packedBytes(count, bits) : 0);
}

/** Inverse of `scaleBytes`; `section` has the length that `scaleSectionBytes` gives. */
export function readScales(section: Uint8Array, count: number, width: number, hasZeroPoint: boolean, bits: number) {
  const scales = section.subarray(0, count * width);
  return {
    scale:
      width === 2
        ? float16ToFloat32(typedArrayFromBytes('float16', scales, count) as Uint16Array)
        : (typedArrayFromBytes('float32', scales, count) as Float32Array),
    ...(hasZeroPoint && { zeroPoint: Int32Array.from(unpackBits(section.subarray(count * width), bits, count)) }),
  };
}

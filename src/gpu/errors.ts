/** Base of what can go wrong with the GPU itself; `instanceof GpuError` separates it from bad input and from bugs. */
export class GpuError extends Error {
  override name = 'GpuError';
}

/** No adapter could be had. The message says what to install. */
export class NoAdapterError extends GpuError {
  override name = 'NoAdapterError';
}

/** The device is gone (driver reset, unplugged, destroyed). What was on it must be rebuilt on a new one. */
export class DeviceLostError extends GpuError {
  override name = 'DeviceLostError';
  /** The same call may be made again: it will run on a new device. */
  readonly retry: boolean;

  constructor(message: string, { retry = false }: { retry?: boolean } = {}) {
    super(message);
    this.retry = retry;
  }
}

/** The device had no memory left for a buffer. */
export class OutOfMemoryError extends GpuError {
  override name = 'OutOfMemoryError';
}

/** Something asked for exceeds a limit of the device. The message names the limit, its value and what was asked. */
export class LimitError extends GpuError {
  override name = 'LimitError';
}

/** Exit code 0 where the machine has a WebGPU adapter of its own, 1 where only the embedded one is left. */
import { openGpu } from '../src/gpu/node.ts';

try {
  (await openGpu({ adapter: 'system' })).gpu.destroy();
  process.exit(0);
} catch {
  process.exit(1);
}

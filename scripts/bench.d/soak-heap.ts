/** Loaded into the gateway by `scripts/bench soak --inside`: writes what the runtime says of its heap to a file each 5 s. */
import { heapStats } from "bun:jsc";
import { renameSync, writeFileSync } from "node:fs";

const file = process.env.WEIR_SOAK_HEAP_FILE!;
const write = () => {
  const { heapSize, heapCapacity, extraMemorySize, objectCount } = heapStats();
  const { external, arrayBuffers } = process.memoryUsage();
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)}`;
  writeFileSync(
    `${file}.new`,
    `heap ${megabytes(heapSize)} of ${megabytes(heapCapacity)}, extra ${megabytes(extraMemorySize)}, ` +
      `external ${megabytes(external)}, buffers ${megabytes(arrayBuffers)}, ${objectCount} objects`,
  );
  renameSync(`${file}.new`, file);
};
write();
setInterval(write, 5_000).unref();

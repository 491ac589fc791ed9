/**
 * The checksum of DuckDB 1.5 over headers, blocks and entries of the log: 64 bits. It is computed only for files that are
 * damaged or were left in a checkpoint: the engine does not say where a log is damaged, and does not read a file with a damaged
 * header.
 */

const MASK = (1n << 64n) - 1n;
const WORD_FACTOR = 0xbf58476d1ce4e5b9n;
const REST_FACTOR = 0xc6a4a7935bd1e995n;
const REST_SEED = 0xe17a1465n;
const REST_SHIFT = 47n;

/** The checksum of some bytes. */
export function blockChecksum(bytes: Buffer): bigint {
  const words = bytes.length >> 3;
  let sum = 5381n;
  for (let word = 0; word < words; word++) sum ^= (bytes.readBigUInt64LE(word * 8) * WORD_FACTOR) & MASK;
  const rest = bytes.subarray(words * 8);
  return rest.length === 0 ? sum : sum ^ checksumOfRest(rest);
}

/** Of up to seven bytes. */
function checksumOfRest(bytes: Buffer): bigint {
  let hash = REST_SEED ^ ((BigInt(bytes.length) * REST_FACTOR) & MASK);
  let word = 0n;
  for (let at = bytes.length - 1; at >= 0; at--) word = (word << 8n) | BigInt(bytes[at]!);
  hash = ((hash ^ word) * REST_FACTOR) & MASK;
  hash ^= hash >> REST_SHIFT;
  hash = (hash * REST_FACTOR) & MASK;
  return hash ^ (hash >> REST_SHIFT);
}

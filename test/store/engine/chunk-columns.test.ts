/** Columns of the engine's chunks, from the real driver and from one whose memory is not copied. */
import { expect, test } from "bun:test";
import duckdb from "@duckdb/node-bindings";
import { ChunkColumns } from "../../../src/store/engine/chunk-columns.ts";

test("columns of a chunk keep their values when the engine has freed it", async () => {
  const database = await duckdb.open(":memory:");
  const connection = await duckdb.connect(database);
  const read = async () => {
    const result = await duckdb.query(
      connection,
      "SELECT 7::UINTEGER AS key, list(i::DOUBLE) AS a, list(i * 2::DOUBLE) AS b FROM range(3) AS t(i)",
    );
    return (await duckdb.fetch_chunk(result))!;
  };
  const columns = new ChunkColumns(duckdb);
  const kept: (Float64Array | Uint32Array | Uint8Array)[] = [];
  await columns.visitLists(await read(), 1, ["double", "double"], (keys, begins, lengths, lists) => {
    expect([[...keys], [...begins], [...lengths]]).toEqual([[7], [0], [3]]);
    kept.push(...lists);
  });
  const buffers = new Set(kept.map(({ buffer }) => buffer));
  expect(buffers.size).toBe(2);
  // Each is alone in its buffer, so that it can be transferred to another thread.
  for (const list of kept) expect(list.buffer.byteLength).toBe(list.byteLength);
  for (let chunk = 0; chunk < 20; chunk++) {
    const other = await read();
    await columns.visitLists(other, 1, ["double", "double"], () => {});
  }
  Bun.gc(true);
  expect(kept.map((list) => [...list])).toEqual([
    [0, 1, 2],
    [0, 2, 4],
  ]);
  duckdb.disconnect_sync(connection);
  duckdb.close_sync(database);
});

test("copies the memory of a driver that passes it on", async () => {
  const memory = new Uint8Array(new Float64Array([1, 2]).buffer);
  const shared = {
    data_chunk_get_vector: () => 0,
    vector_get_data: (_: number, byteCount: number) => memory.subarray(0, byteCount),
    vector_get_validity: () => null,
    list_vector_get_child: () => 0,
    list_vector_get_size: () => 0,
  };
  const columns = new ChunkColumns<object, number>(shared);
  let kept: unknown;
  await columns.visit({}, 2, ["double"], 0, ([values]) => {
    kept = values;
  });
  memory.fill(0);
  expect(kept).toEqual(new Float64Array([1, 2]));
});

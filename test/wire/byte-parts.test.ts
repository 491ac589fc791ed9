/** Parts of bytes are joined in their order, whatever their sizes are. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ByteParts } from "../../src/wire/byte-parts.ts";
import { runs } from "../runs.ts";

test("parts of any sizes are joined in their order", () => {
  const parts = new ByteParts();
  const size = fc.oneof(fc.nat(3), fc.nat(5_000), fc.constantFrom(4_095, 4_096, 65_536));
  fc.assert(
    fc.property(fc.array(size, { maxLength: 40 }), (sizes) => {
      const sent = sizes.map((length, at) => new Uint8Array(length).fill(at + 1));
      for (const part of sent) parts.add(part);
      expect(parts.length).toBe(sizes.reduce((sum, each) => sum + each, 0));
      expect(Buffer.from(parts.take()).equals(Buffer.concat(sent))).toBe(true);
      expect(parts.length).toBe(0);
    }),
    runs(200),
  );
});

/** How a part of an archive that was restored is known: as an import, which is stored with its samples. Pure. */
import { dateText } from "../../model/time.ts";

/** The content type of exemplars, which a push stores beside events (src/receive/events/exemplar-lines.ts). */
export const EXEMPLARS_TYPE = "application/vnd.weir.exemplars+x-ndjson";

/** The first line of the imports of all parts of a day, as a hash. */
export function restoredFirstLine(day: number): string {
  return hashOf(`weir archive ${dateText(day)}`);
}

/** The name of the import of a part. The same file is the same part, wherever it is. */
export function restoredImport(gateway: string, date: string, file: string): string {
  return hashOf(`weir archive ${gateway} ${date} ${file}`);
}

function hashOf(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

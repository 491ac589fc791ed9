/**
 * `GET /api/v1/imports/FILE`: how far a file was imported, by the name of its import. `GET
 * /api/v1/imports?first_line=HASH`: the same for all files that begin with a line. An importer finds out with it
 * which of them it is reading.
 */
import { NotFound, quote } from "../../model/errors.ts";
import { jsonResponse } from "../error-answers.ts";
import { wrongParameter } from "../parameters.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";

/** How far a file was imported. */
interface Imported {
  readonly file: string;
  /** The end of the imported part, in bytes. */
  readonly byteOffset: number;
  /** Hash of the last imported line. */
  readonly lastLineHash: string;
  /** What distinguishes the file from others that begin with the same line, as the importer wrote it. */
  readonly identity: string;
}

interface ImportsDependencies {
  find(file: string): Imported | undefined;
  withFirstLine(hash: string): readonly Imported[];
}

export const importsRoutes = ({ find, withFirstLine }: ImportsDependencies) =>
  new Routes()
    .on("GET", "/api/v1/imports", "push", "lists the imported files that begin with a line", (request) => {
      const hash = queryOf(request.url).get("first_line") || null;
      if (hash === null) throw wrongParameter("first_line", hash, "the hash of a file's first line");
      return jsonResponse(200, { imports: withFirstLine(hash).map(shown) });
    })
    .on("GET", "/api/v1/imports/:file", "push", "says how far a file was imported", (_, { file }) => {
      const found = find(file);
      if (found === undefined) throw new NotFound(`No file ${quote(file)} was imported.`, "file");
      return jsonResponse(200, shown(found));
    });

function shown({ file, byteOffset, lastLineHash, identity }: Imported): Imported {
  return { file, byteOffset, lastLineHash, identity };
}

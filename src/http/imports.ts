/**
 * `GET /api/v1/imports/FILE`: how far a file was imported, by the import's own name.
 * `GET /api/v1/imports?first_line=HASH`: the same of all files that begin with a line, which is how an importer finds
 * out which of them it has before it.
 */
import { BadInput, NotFound, quote } from "../model/errors.ts";
import { jsonResponse } from "./errors.ts";
import { Routes } from "./routes.ts";

/** How far a file was imported. */
export interface Imported {
  readonly file: string;
  /** The end of what was imported, in bytes. */
  readonly byteOffset: number;
  /** Hash of the last line before it. */
  readonly lastLineHash: string;
  /** What tells the file from others that begin with the same line: the importer's own text. */
  readonly identity: string;
}

export interface ImportsDependencies {
  find(file: string): Imported | undefined;
  withFirstLine(hash: string): readonly Imported[];
}

export const importsRoutes = ({ find, withFirstLine }: ImportsDependencies) =>
  new Routes()
    .on("GET", "/api/v1/imports", "push", "imported files that begin with the same line", (request) => {
      const hash = new URL(request.url).searchParams.get("first_line") ?? "";
      if (hash === "") {
        throw new BadInput(
          "Query parameter first_line is missing; expected the hash of a file's first line.",
          "first_line",
        );
      }
      return jsonResponse(200, { imports: withFirstLine(hash).map(shown) });
    })
    .on("GET", "/api/v1/imports/:file", "push", "how far a file is imported", (_, { file }) => {
      const found = find(file);
      if (found === undefined) throw new NotFound(`No file ${quote(file)} was imported.`, "file");
      return jsonResponse(200, shown(found));
    });

function shown({ file, byteOffset, lastLineHash, identity }: Imported): Imported {
  return { file, byteOffset, lastLineHash, identity };
}

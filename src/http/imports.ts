/** `GET /api/v1/imports/FILE`: how far a file was imported; FILE is the hash of its first line. */
import { Elysia } from "elysia";
import { NotFound, quote } from "../errors.ts";
import { jsonResponse } from "./errors.ts";

export interface ImportsDependencies {
  /** The end of what was imported of a file, in bytes, and the hash of the last line before it. */
  importOffset(file: string): { readonly byteOffset: number; readonly lastLineHash: string } | undefined;
}

export const importsRoutes = ({ importOffset }: ImportsDependencies) =>
  new Elysia().get(
    "/api/v1/imports/:file",
    ({ params: { file } }) => {
      const offset = importOffset(file);
      if (offset === undefined) throw new NotFound(`No file ${quote(file)} was imported.`, "file");
      return jsonResponse(200, { file, byteOffset: offset.byteOffset, lastLineHash: offset.lastLineHash });
    },
    { parse: "none" },
  );

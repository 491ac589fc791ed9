/** Where an archive is, as settings name it: an absolute path of a folder, or `s3://BUCKET/PREFIX`. Pure. */
import { isAbsolute, normalize } from "node:path";
import { quote } from "../errors.ts";

export type ArchivePlace = { readonly folder: string } | { readonly bucket: string; readonly prefix: string };

/** Names of buckets, at Amazon and at other servers. */
const BUCKET = /^[a-zA-Z0-9][a-zA-Z0-9._-]{1,62}$/;
/** A path in a bucket, of characters that all clients understand alike. */
const PREFIX = /^[\w!.*'()=-]+(\/[\w!.*'()=-]+)*$/;

/** Reads a text. Returns a fault, as the end of a sentence, if it names no archive. */
export function readArchivePlace(text: string): ArchivePlace | { readonly fault: string } {
  if (!/^s3:/i.test(text)) {
    if (isAbsolute(text) && !text.includes("\0")) return { folder: normalize(text).replace(/(.)\/+$/, "$1") };
    return { fault: `is ${quote(text)}, expected an absolute path of a folder or s3://BUCKET/PREFIX` };
  }
  // It may have a secret, so it is not quoted.
  if (/[@?]/.test(text))
    return {
      fault: "has credentials or parameters, expected s3://BUCKET/PREFIX and credentials in variables",
    };
  const [, bucket = "", prefix = ""] = /^s3:\/\/([^/]*)\/?(.*?)\/*$/.exec(text) ?? [];
  if (!BUCKET.test(bucket)) return { fault: `is ${quote(text)}, expected the name of a bucket after s3://` };
  if (prefix !== "" && (!PREFIX.test(prefix) || /(^|\/)\.\.?(\/|$)/.test(prefix)))
    return { fault: `is ${quote(text)}, expected letters, digits and !_.*'()=- in the parts of its prefix` };
  return { bucket, prefix };
}

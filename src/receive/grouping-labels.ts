/**
 * The labels in the path of a push: `/metrics/job[@base64]/JOB{/NAME[@base64]/VALUE}`
 * (https://github.com/prometheus/pushgateway#url). With Pushgateway they name a group. Errors have Pushgateway's wording.
 *
 * The path is decoded before it is divided, so an encoded slash divides it too. Values that are empty or contain
 * slashes are sent in base64 (URL alphabet, padding optional).
 */
import { isUtf8 } from "node:buffer";
import { holdsReplacement } from "../http/url-text.ts";
import { BadInput, quote } from "../model/errors.ts";

const SUFFIX = "@base64";
const PREFIX = /^\/metrics\/job(@base64)?\/([^/]*)(.*)$/s;
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;

/** The grouping labels that a path names, including `job`. Throws `BadInput`. */
export function groupingLabels(encodedPath: string): Map<string, string> {
  let path: string;
  try {
    path = decodeURIComponent(encodedPath);
  } catch {
    throw new BadInput(`the path ${quote(encodedPath)} is not valid percent-encoded UTF-8`);
  }
  if (holdsReplacement(path)) {
    throw new BadInput(
      `the path ${quote(path)} contains bytes that are not UTF-8, or U+FFFD, which replaces them (in base64 it is allowed)`,
    );
  }
  const [, encoding, first = "", rest = ""] = PREFIX.exec(path) ?? [];
  const job =
    encoding === undefined
      ? first
      : decodeBase64(first, (why) => `invalid base64 encoding in job name ${quote(first)}: ${why}`);
  const labels = new Map<string, string>();
  // A single slash behind the job has no meaning.
  if (rest.length > 1) {
    const parts = rest.slice(1).split("/");
    if (parts.length % 2 !== 0) {
      throw new BadInput(`odd number of components in label string ${quote(rest)}`);
    }
    for (let at = 0; at < parts.length; at += 2) addLabel(labels, parts[at]!, parts[at + 1]!);
  }
  if (job === "") throw new BadInput("job name is required");
  return labels.set("job", job);
}

function addLabel(labels: Map<string, string>, part: string, value: string): void {
  const name = part.endsWith(SUFFIX) ? part.slice(0, -SUFFIX.length) : part;
  if (!LABEL_NAME.test(name)) throw new BadInput(`improper label name ${quote(name)}`);
  const text =
    name === part
      ? value
      : decodeBase64(value, (why) => `invalid base64 encoding for label ${name}=${quote(value)}: ${why}`);
  labels.set(name, text);
}

function decodeBase64(encoded: string, problem: (why: string) => string): string {
  const digits = encoded.replace(/=+$/, "");
  const illegal = digits.search(/[^A-Za-z0-9_-]/);
  // A single digit in the last group of four encodes no byte.
  const at = illegal >= 0 ? illegal : digits.length % 4 === 1 ? digits.length - 1 : -1;
  if (at >= 0) throw new BadInput(problem(`illegal base64 data at input byte ${at}`));
  const bytes = Buffer.from(digits, "base64url");
  if (!isUtf8(bytes)) throw new BadInput(problem("it is not valid UTF-8"));
  return bytes.toString("utf8");
}

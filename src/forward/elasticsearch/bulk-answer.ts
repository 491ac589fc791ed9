/** Reads the answer of Elasticsearch to a bulk request: what became of each document. Pure. */

/** A document: stored, stored before, refused for a reason, or to be sent again. */
export type DocumentFate =
  | { readonly is: "stored" }
  | { readonly is: "refused"; readonly reason: string }
  | { readonly is: "busy"; readonly reason: string };

interface BulkItem {
  readonly status?: number;
  readonly error?: {
    readonly type?: string;
    readonly reason?: string;
    readonly caused_by?: { readonly reason?: string };
  };
}

/** By document, in the order of the request. Undefined if it is no such answer. */
export function readBulkAnswer(text: string, documents: number): DocumentFate[] | undefined {
  try {
    const { items } = JSON.parse(text) as { items?: readonly Readonly<Record<string, BulkItem>>[] };
    if (!Array.isArray(items) || items.length !== documents) return undefined;
    return items.map((item) => fateOf(Object.values(item as Record<string, BulkItem>)[0]!));
  } catch {
    return undefined;
  }
}

function fateOf({ status = 0, error }: BulkItem): DocumentFate {
  // 409: a document with this id is there already.
  if ((status >= 200 && status < 300) || status === 409) return { is: "stored" };
  const cause = error?.caused_by?.reason;
  const reason = [String(status), error?.type, error?.reason, cause]
    .filter((part) => part !== undefined)
    .join(": ")
    .slice(0, 500);
  // What a person can mend is not given up.
  const isBusy = status === 429 || status >= 500 || [401, 403, 404].includes(status);
  return { is: isBusy ? "busy" : "refused", reason };
}

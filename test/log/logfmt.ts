/** A strict reader of logfmt, for tests: what go-logfmt/logfmt accepts, and no bare keys. Throws with the line. */
export function parseLogfmt(line: string): Record<string, string> {
  const pair = /([^\s"=\p{C}]+)=("(?:[^"\\\p{Cc}]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"|[^\s"=\p{C}]*)(?: |$)/uy;
  const pairs: [string, string][] = [];
  while (pair.lastIndex < line.length) {
    const at = pair.lastIndex;
    const [, key, value] = pair.exec(line) ?? [];
    if (key === undefined || value === undefined) throw new Error(`not logfmt at character ${at}: ${line}`);
    pairs.push([key, value.startsWith('"') ? (JSON.parse(value) as string) : value]);
  }
  return Object.fromEntries(pairs);
}

/** Numbers of things in the output of commands. */

/** `1 sample`, `2 samples`. The plural has an s, or is given. */
export function counted(number: number, what: string, plural = `${what}s`): string {
  return `${number} ${number === 1 ? what : plural}`;
}

/** Labels as a person types and reads them: `job=ci, site=east`. Pure. */

/** The labels of a text. Throws an Error with a sentence for a part without a name or without `=`. */
export function labelsIn(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const part of text.split(",").map((each) => each.trim())) {
    if (part === "") continue;
    const at = part.indexOf("=");
    if (at < 1) throw new Error(`Labels has ${JSON.stringify(part)}, expected name=value.`);
    const name = part.slice(0, at).trim();
    if (Object.hasOwn(labels, name)) throw new Error(`Labels has ${JSON.stringify(name)} twice.`);
    labels[name] = part.slice(at + 1).trim();
  }
  return labels;
}

export function labelList(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
}

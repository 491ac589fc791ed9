/** Shows a text that is longer than the terminal in a pager: $PAGER, else less, else all at once. */
import type { Io } from "../command.ts";

/** -S: a long line is not wrapped. -F -X: a short text stays on the screen. -R: colours. */
const LESS = ["less", "-FRSX"];

/** @param give lets another program read the terminal while it runs */
export async function showPaged(
  text: string,
  { stdout, env }: Pick<Io, "stdout" | "env">,
  give: (run: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const command =
    env.PAGER === undefined ? defaultPager(env.PATH) : env.PAGER === "" ? undefined : ["sh", "-c", env.PAGER];
  const isLong = text.split("\n").length > (stdout.rows ?? 24);
  if (!isLong || command === undefined) {
    await stdout.write(text);
    return;
  }
  await give(async () => {
    const child = Bun.spawn(command, {
      stdin: new Blob([text]),
      stdout: "inherit",
      stderr: "inherit",
      env: { ...env },
    });
    await child.exited;
  });
}

function defaultPager(path: string | undefined): string[] | undefined {
  return Bun.which(LESS[0]!, { PATH: path ?? "" }) === null ? undefined : LESS;
}

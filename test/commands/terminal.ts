/** Runs a command in a pseudo-terminal, and types when something is printed. Python makes the terminal. */
export const hasTerminal = Bun.which("python3") !== null;

/** Reads pairs of texts from standard input as JSON: what is awaited in the new output, and what is typed then. */
const SCRIPT = `
import fcntl, json, os, pty, select, struct, sys, termios, time
steps, rows = json.load(sys.stdin)
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 100, 0, 0))
text, seen, printed = b"", 0, time.monotonic()
while True:
    while steps and steps[0][0].startswith("file:") and os.path.exists(steps[0][0][5:]):
        os.write(fd, steps.pop(0)[1].encode())
    if not select.select([fd], [], [], 0.05)[0]:
        # So that a test that awaits a wrong text shows what was printed.
        if time.monotonic() - printed > 60:
            os.kill(pid, 9)
            printed = time.monotonic()
        continue
    printed = time.monotonic()
    try:
        piece = os.read(fd, 4096)
    except OSError:
        break
    if not piece:
        break
    text += piece
    while steps and text.find(steps[0][0].encode(), seen) >= 0:
        wanted, typed = steps.pop(0)
        seen = text.find(wanted.encode(), seen) + len(wanted.encode())
        os.write(fd, typed.encode())
sys.stdout.buffer.write(text)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;

export interface Typed {
  readonly code: number;
  /** What the terminal showed, without escapes that move the cursor. */
  readonly screen: string;
}

/**
 * @param steps what is awaited, and what is typed then; a step waits for output after that of the step before. With
 *   "file:PATH", it waits until the file exists
 * @param rows the height of the terminal in lines
 */
export async function typed(
  command: readonly string[],
  steps: readonly (readonly [awaited: string, text: string])[],
  env: Readonly<Record<string, string>> = {},
  rows = 50,
): Promise<Typed> {
  const child = Bun.spawn(["python3", "-c", SCRIPT, ...command], {
    env: { ...process.env, TERM: "xterm", ...env },
    stdin: new Blob([JSON.stringify([steps, rows])]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (err !== "") throw new Error(err);
  const escapes = new RegExp(`${String.fromCharCode(27)}\\[[0-9;?]*[A-Za-z]`, "g");
  return { code, screen: out.replaceAll(escapes, "").replaceAll("\r", "") };
}

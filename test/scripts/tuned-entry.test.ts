/**
 * The code that runs before a program of Linux, and gives it variables: programs of the system are built with it, and print what
 * they get.
 */
import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PT_INTERP, PT_NOTE, readElf } from "../../scripts/build.d/elf-file.ts";
import * as arm64 from "../../scripts/build.d/entry/start-arm64-code.ts";
import * as x64 from "../../scripts/build.d/entry/start-x64-code.ts";
import { withTunedEntry } from "../../scripts/build.d/entry/tuned-entry.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const SOURCES = join(import.meta.dir, "../../scripts/build.d/entry");
const VARIABLES = { MALLOC_ARENA_MAX: "1", WEIR_FIRST: "60,60,480", WEIR_SECOND: "two" };
const ADDED = ["MALLOC_ARENA_MAX=1", "WEIR_FIRST=60,60,480", "WEIR_SECOND=two"];

const onLinux = process.platform === "linux";
const folder = temporaryFolder();

/** Programs of the system with the code: `./env` prints its environment. */
for (const name of onLinux ? ["env", "sh", "id"] : []) {
  const program = readFileSync(Bun.which(name)!);
  writeFileSync(join(folder, name), withTunedEntry(program, VARIABLES), { mode: 0o755 });
}

function run(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawnSync([...command], { cwd: folder, env: { ...env } });
  return { code: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
}

/** The lines that a command prints to its standard output, or all of what it did if it fails. */
function lines(command: readonly string[], env: Readonly<Record<string, string>> = {}): string[] {
  const result = run(command, env);
  if (result.code !== 0) throw new Error(JSON.stringify(result));
  return result.out.split("\n").slice(0, -1);
}

describe.each([
  { name: "start-x64", tools: "x86_64-linux-gnu", code: x64.START_X64, hash: x64.SOURCE_SHA256 },
  { name: "start-arm64", tools: "aarch64-linux-gnu", code: arm64.START_ARM64, hash: arm64.SOURCE_SHA256 },
])("$name", ({ name, tools, code, hash }) => {
  const source = join(SOURCES, `${name}.s`);

  test("is the source of the code; if not, run scripts/build-entry", () => {
    expect(new Bun.CryptoHasher("sha256").update(readFileSync(source)).digest("hex")).toBe(hash);
  });

  test.skipIf(Bun.which(`${tools}-as`) === null)(
    "a new build has the same bytes (needs an assembler)",
    () => {
      const object = join(folder, `${name}.o`);
      lines([Bun.which(`${tools}-as`)!, "-o", object, source]);
      lines([Bun.which(`${tools}-objcopy`)!, "-O", "binary", "-j", ".text", object, `${object}.bin`]);
      expect(readFileSync(`${object}.bin`).toString("base64")).toBe(code);
    },
  );
});

describe.skipIf(!onLinux)("a program with the code", () => {
  test("has all variables, behind those of its caller, which keep their values", () => {
    expect(lines(["./env"], { PATH: "/bin", WEIR_SECOND: "mine" })).toEqual([
      ...["PATH=/bin", "WEIR_SECOND=mine"],
      ...["MALLOC_ARENA_MAX=1", "WEIR_FIRST=60,60,480"],
    ]);
    // An empty value is a value. A name that is longer or shorter is another one.
    const similar = { WEIR_FIRST: "", WEIR_SECONDS: "", WEIR: "", WEIR_SECON: "D" };
    expect(lines(["./env"], similar)).toEqual([
      ...["WEIR_FIRST=", "WEIR_SECONDS=", "WEIR=", "WEIR_SECON=D"],
      ...["MALLOC_ARENA_MAX=1", "WEIR_SECOND=two"],
    ]);
    const all = { WEIR_SECOND: "2", WEIR_FIRST: "1", MALLOC_ARENA_MAX: "0" };
    expect(lines(["./env"], all)).toEqual(["WEIR_SECOND=2", "WEIR_FIRST=1", "MALLOC_ARENA_MAX=0"]);
  });

  test("starts with an empty environment, and with 5,000 variables", () => {
    expect(lines(["/usr/bin/env", "-i", "./env"])).toEqual(ADDED);
    const many = Array.from({ length: 5_000 }, (_, index) => [`V${index}`, `value ${index}`] as const);
    expect(lines(["./env"], Object.fromEntries(many))).toEqual([
      ...many.map(([name, value]) => `${name}=${value}`),
      ...ADDED,
    ]);
  });

  test("gets its arguments as they are", () => {
    const print = 'printf "%s\\n" "$0" "$@"';
    const words = ["name", "two words", "", "'quoted'", "-", "ü"];
    expect(lines(["./sh", "-c", print, ...words])).toEqual(words);
    const many = Array.from({ length: 15_000 }, (_, index) => `argument ${index}`.padEnd(100, "."));
    expect(lines(["./sh", "-c", print, ...many])).toEqual(many);
  });

  test("keeps its name and its number: by a relative path, by PATH and by a link", () => {
    const ask =
      'read name </proc/$$/comm; printf "%s\\n" "$0" "$name" "$1" $$; tr "\\0" "\\n" </proc/$$/environ | tail -n 1';
    // The caller replaces itself by the program, so that its number is that of the program.
    const named = (command: string, path = "/usr/bin:/bin") =>
      lines(["/bin/sh", "-c", 'exec "$1" -c "$2" "$1" $$', "start", command, ask], { PATH: path });
    const subfolder = join(folder, "below");
    mkdirSync(subfolder);
    symlinkSync("../sh", join(subfolder, "linked"));
    for (const [command, name, path] of [
      ["./sh", "sh"],
      ["below/linked", "linked"],
      ["linked", "linked", `${subfolder}:/usr/bin:/bin`],
    ] as const) {
      const [argument, comm, before, pid, added] = named(command, path);
      expect([argument, comm, before, added]).toEqual([command, name, pid!, "WEIR_SECOND=two"]);
    }
  });

  test("begins without the variables if the environment is too large with them", () => {
    // A limit of 1 MiB for the stack makes 256 KiB for arguments and environment.
    const start = ["/bin/sh", "-c", "ulimit -s 1024 && exec ./env"];
    const large = { A: "a".repeat(100_000), B: "b".repeat(100_000) };
    const sized = (bytes: number) => run(start, { ...large, C: "c".repeat(bytes) });
    let [possible, impossible] = [0, 100_000];
    while (impossible - possible > 1) {
      const middle = Math.floor((possible + impossible) / 2);
      if (sized(middle).code === 0) possible = middle;
      else impossible = middle;
    }
    expect(possible).toBeGreaterThan(50_000);
    const names = ({ out }: { out: string }) => [...out.matchAll(/^\w+(?==)/gm)].map(([name]) => name);
    expect(names(sized(possible))).not.toContain("WEIR_FIRST");
    expect(names(sized(possible - 1_000))).toContain("WEIR_FIRST");
  });

  test("begins without the variables if the loader was started with it", () => {
    const program = readFileSync(join(folder, "env"));
    const { offset, bytes } = readElf(program).segments.find(({ type }) => type === PT_INTERP)!;
    const loader = program.toString("latin1", offset, offset + bytes - 1);
    expect(lines([loader, "./env"], { A: "1" })).toEqual(["A=1"]);
  });

  test("begins without the variables as the interpreter of a script", () => {
    writeFileSync(join(folder, "printed"), `#!${join(folder, "sh")}\nprintf '%s\\n' "$0" "$@"\n`, {
      mode: 0o755,
    });
    expect(lines(["./printed", "a", "b c"])).toEqual(["./printed", "a", "b c"]);
  });

  test.skipIf(Bun.which("python3") === null)("is started from a descriptor", () => {
    const start = `
import os, sys
descriptor = os.open("./env", os.O_RDONLY)
os.set_inheritable(descriptor, sys.argv[1] == "kept")
os.execve(descriptor, ["env"], {"A": "1"})`;
    const python = [Bun.which("python3")!, "-c", start];
    expect(lines([...python, "kept"])).toEqual(["A=1", ...ADDED]);
    // Its path /dev/fd/3 is away then.
    expect(lines([...python, "closed"])).toEqual(["A=1"]);
  });

  /** A copy of `id` with the right of another user. Only root can make it, and the file system has to allow it. */
  const asOther = join(folder, "id");
  if (onLinux && process.getuid!() === 0) {
    chmodSync(folder, 0o755);
    chownSync(asOther, 65_534, 65_534);
    chmodSync(asOther, 0o4755);
  }
  const isOther = onLinux && run([asOther, "-u"]).out === "65534\n";

  // The loader may remove the C library's variables then, and the code would add them without end.
  test.skipIf(!isOther)("with more rights than its caller, it gets all but those of the C library", () => {
    writeFileSync(asOther, readFileSync(join(folder, "env")));
    chmodSync(asOther, 0o4755);
    expect(lines([asOther], { A: "1" })).toEqual(["A=1", "WEIR_FIRST=60,60,480", "WEIR_SECOND=two"]);
  });

  test.skipIf(!isOther)("with more rights than its caller, it starts itself, and no path", () => {
    writeFileSync(asOther, readFileSync(join(folder, "sh")));
    chmodSync(asOther, 0o4755);
    expect(lines([asOther, "-c", "read name </proc/$$/comm; echo $name"], {})).toEqual(["exe"]);
  });
});

/**
 * The code for AArch64, on another processor. qemu gives execve to the system, which cannot start a program for AArch64. So the
 * loader of this program names a program of the system as its path: the third argument.
 */
describe("AArch64, emulated (needs qemu-user and the assembler)", () => {
  const tools = ["qemu-aarch64", "aarch64-linux-gnu-as", "aarch64-linux-gnu-ld"].map((tool) =>
    Bun.which(tool),
  );
  const [qemu, assembler, linker] = tools.map(String);

  const LOADER = `
    .globl _start
_start:
    ldr     x1, [sp]                    // argc
    add     x2, sp, 16
    add     x2, x2, x1, lsl 3
1:  ldr     x3, [x2], 8
    cbnz    x3, 1b
2:  ldp     x3, x4, [x2], 16            // the auxiliary vector
    cmp     x3, 9                       // AT_ENTRY
    csel    x5, x4, x5, eq
    cmp     x3, 31                      // AT_EXECFN
    b.ne    3f
    ldr     x6, [sp, 32]                // argv[3]
    str     x6, [x2, -8]
3:  cbnz    x3, 2b
    mov     x0, 100
    br      x5
`;

  /** Its exit code is x0, and the number of words in its command. */
  const PROGRAM = `
    .globl _start
_start:
    ldr     x1, [sp]
    add     x0, x0, x1
    mov     x8, 93                      // exit
    svc     0
`;

  function linked(name: string, source: string, options: readonly string[]): string {
    const path = join(folder, name);
    writeFileSync(`${path}.s`, source);
    lines([assembler!, "-o", `${path}.o`, `${path}.s`]);
    lines([linker!, "-pie", "--build-id", ...options, "-o", path, `${path}.o`]);
    return path;
  }

  test.skipIf(!onLinux || tools.includes(null))(
    "adds what is missing, or begins as if it were not there",
    () => {
      const loader = linked("loader-arm64", LOADER, ["--no-dynamic-linker"]);
      const program = linked("program-arm64", PROGRAM, [`--dynamic-linker=${loader}`]);
      writeFileSync(program, withTunedEntry(readFileSync(program), VARIABLES));
      const print = 'printf "%s\\n" "$0" "$@"; tr "\\0" "\\n" </proc/$$/environ';
      const started = [qemu!, program, "-c", print, "/bin/sh", "two words", ""];
      expect(lines(started, { A: "1", WEIR_FIRSTS: "", WEIR_SECOND: "mine" })).toEqual([
        ...["/bin/sh", "two words", ""],
        // qemu passes the environment in reverse.
        ...["WEIR_SECOND=mine", "WEIR_FIRSTS=", "A=1", "MALLOC_ARENA_MAX=1", "WEIR_FIRST=60,60,480"],
      ]);
      const many = Array.from({ length: 5_000 }, (_, index) => [`V${index}`, `value ${index}`] as const);
      expect(lines(started, Object.fromEntries(many)).slice(3)).toEqual([
        ...many.map(([name, value]) => `${name}=${value}`).toReversed(),
        ...ADDED,
      ]);
      // Nothing is missing; the path cannot be started; the path is an argument, as that of a script.
      const begun = { code: 106, out: "", err: "" };
      expect(run(started, VARIABLES)).toEqual(begun);
      expect(run([qemu!, program, "a", "b", "/missing", "c", "d"])).toEqual(begun);
      expect(run([qemu!, program, "/bin/sh", "b", "/bin/sh", "c", "d"])).toEqual(begun);
      expect(run([qemu!, program, "b", "/bin/sh", "/bin/sh", "c", "d"])).toEqual(begun);
    },
  );
});

describe("a file with another layout is rejected", () => {
  const bad = (name: string, program: () => Buffer, message: string) =>
    test.skipIf(!onLinux)(name, () => expect(() => withTunedEntry(program(), VARIABLES)).toThrow(message));

  bad("a script", () => Buffer.from("#!/bin/sh\n"), "not an ELF file");
  bad("another processor", () => edited((file) => file.writeUInt16LE(243, 18)), "for the processor 243");
  bad("a static program", () => without(PT_INTERP), "the program is static");
  bad("no notes", () => without(PT_NOTE), "no PT_NOTE header follows the PT_LOAD headers");

  function edited(edit: (file: Buffer) => void): Buffer {
    const file = readFileSync(Bun.which("env")!);
    edit(file);
    return file;
  }

  /** Headers of a type become headers without a meaning. */
  function without(removed: number): Buffer {
    return edited((file) => {
      for (const { at, type } of readElf(file).segments) if (type === removed) file.writeUInt32LE(0, at);
    });
  }
});

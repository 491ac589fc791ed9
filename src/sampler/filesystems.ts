/**
 * Mounted file systems on Linux: the list (/proc/self/mountinfo, proc_pid_mountinfo(5)), and queries of their
 * space that survive a file system that hangs.
 */

export interface Mount {
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly readOnly: boolean;
}

/** File systems that node_exporter leaves out by default: those of the kernel, and mounts of container engines. */
const PSEUDO_TYPES =
  /^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$/;
const PSEUDO_MOUNT_POINTS =
  /^\/(dev|proc|run\/credentials\/.+|sys|var\/lib\/docker\/.+|var\/lib\/containers\/storage\/.+)($|\/)/;

/** File systems whose server may be unreachable, so that a query hangs. */
const REMOTE_TYPES =
  /^(nfs4?|cifs|smb3?|smbfs|ceph|glusterfs|lustre|9p|afs|beegfs|gfs2|ocfs2|davfs|fuse(\..*)?)$/;

/** Whether a query of this file system may hang because another machine or process answers it. */
export function isRemote(mount: Mount): boolean {
  return REMOTE_TYPES.test(mount.type);
}

/**
 * Reads mountinfo without file systems that are not storage. Of equal mounts on one path the first is returned.
 */
export function parseMountinfo(text: string): Mount[] {
  const mounts = new Map<string, Mount>();
  for (const line of text.split("\n")) {
    const [own, ofFileSystem] = line.split(" - ");
    if (ofFileSystem === undefined) continue;
    const [, , , , point, options] = own.split(" ");
    const [type, source, superOptions = ""] = ofFileSystem.split(" ");
    const mountPoint = unescapeOctal(point);
    if (PSEUDO_TYPES.test(type) || PSEUDO_MOUNT_POINTS.test(mountPoint)) continue;
    const device = unescapeOctal(source);
    const key = [device, mountPoint, type].join("\u0000");
    if (mounts.has(key)) continue;
    const readOnly = [options, superOptions].some((list) => list.split(",").includes("ro"));
    mounts.set(key, { device, mountPoint, type, readOnly });
  }
  return [...mounts.values()];
}

/** mountinfo writes space, tab, newline and backslash as a backslash and three octal digits. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The result of statfs(2). */
export interface Space {
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}

/**
 * Queries file systems one after the other. One that does not answer in time returns undefined, and is not
 * queried again until it has answered. A call that hangs occupies a thread of the pool that the database uses
 * too. So while one hangs, no other remote file system is queried: unreachable servers occupy at most one
 * thread.
 */
export class SpaceQuestions {
  readonly #ask: (mountPoint: string) => Promise<Space>;
  readonly #timeoutMs: number;
  readonly #hanging = new Set<string>();

  constructor(ask: (mountPoint: string) => Promise<Space>, timeoutMs: number) {
    this.#ask = ask;
    this.#timeoutMs = timeoutMs;
  }

  async space(mount: Mount, signal: AbortSignal): Promise<Space | undefined> {
    const { mountPoint } = mount;
    if (this.#hanging.has(mountPoint) || (this.#hanging.size > 0 && isRemote(mount))) return undefined;
    let timer: Timer | undefined;
    const tooLate = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#timeoutMs);
      signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    this.#hanging.add(mountPoint);
    const answer = this.#ask(mountPoint)
      .catch(() => undefined)
      .finally(() => this.#hanging.delete(mountPoint));
    const space = await Promise.race([answer, tooLate]);
    clearTimeout(timer);
    return space;
  }
}

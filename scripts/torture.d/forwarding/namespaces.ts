/** Network namespaces of Linux on one bridge: each has a link that can be cut. Needs root. */

const NETWORK = "10.231.77";

/**
 * How a link is cut: the interface goes down; the bridge drops every packet without a word; or the route says that the host is
 * unreachable.
 */
export type Cut = "down" | "silent" | "unreachable";

export class Namespaces {
  /** The address of this machine on the bridge. */
  readonly address = `${NETWORK}.1`;
  readonly #bridge: string;
  readonly #prefix: string;
  #count = 0;

  private constructor(prefix: string) {
    this.#prefix = prefix;
    this.#bridge = `${prefix}br`;
  }

  /** Makes some namespaces. `close` removes them. */
  static open(count: number): Namespaces {
    const namespaces = new Namespaces(`wl${process.pid % 100_000}`);
    try {
      namespaces.#make(count);
    } catch (error) {
      namespaces.close();
      throw error;
    }
    return namespaces;
  }

  #make(count: number): void {
    run(`ip link add ${this.#bridge} type bridge`);
    run(`ip addr add ${this.address}/24 dev ${this.#bridge}`);
    run(`ip link set ${this.#bridge} up`);
    for (let index = 0; index < count; index++) {
      const [name, link] = [this.nameOf(index), this.#linkOf(index)];
      run(`ip netns add ${name}`);
      this.#count++;
      run(`ip link add ${link} type veth peer name eth0 netns ${name}`);
      run(`ip link set ${link} master ${this.#bridge} up`);
      const within = `ip netns exec ${name}`;
      run(`${within} ip link set lo up`);
      run(`${within} ip addr add ${NETWORK}.${10 + index}/24 dev eth0`);
      run(`${within} ip link set eth0 up`);
    }
  }

  nameOf(index: number): string {
    return `${this.#prefix}-${index}`;
  }

  #linkOf(index: number): string {
    return `${this.#prefix}v${index}`;
  }

  /** The command that starts a program in a namespace. */
  by(index: number): readonly string[] {
    return ["ip", "netns", "exec", this.nameOf(index)];
  }

  cut(index: number, how: Cut): void {
    const link = this.#linkOf(index);
    if (how === "down") run(`ip link set ${link} down`);
    else if (how === "silent") run(`ip link set ${link} type bridge_slave state 0`);
    else run(`${this.by(index).join(" ")} ip route add unreachable ${this.address}/32`);
  }

  mend(index: number, how: Cut): void {
    const link = this.#linkOf(index);
    if (how === "down") run(`ip link set ${link} up`);
    else if (how === "silent") run(`ip link set ${link} type bridge_slave state 3`);
    else run(`${this.by(index).join(" ")} ip route del unreachable ${this.address}/32`);
  }

  close(): void {
    for (let index = 0; index < this.#count; index++)
      Bun.spawnSync(["ip", "netns", "del", this.nameOf(index)], { stderr: "ignore" });
    Bun.spawnSync(["ip", "link", "del", this.#bridge], { stderr: "ignore" });
  }
}

function run(command: string): void {
  const { success, stderr } = Bun.spawnSync(command.split(" "));
  if (!success) throw new Error(`${command}: ${stderr.toString().trim()}`);
}

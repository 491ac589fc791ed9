/**
 * Receives a protocol's datagrams, and passes them to its intake. What the kernel or the intake has no room for is
 * counted by cause. `stop` reads what the kernel has, closes the sockets, and resolves when everything is passed on.
 */
import type { Counters } from "../model/counters.ts";
import type { Service } from "../model/service.ts";
import {
  type DatagramAddress,
  type DatagramSocket,
  openDatagramSocket,
} from "../wire/sockets/datagram-socket.ts";
import { DATAGRAM_BYTES_MAX } from "../wire/sockets/waiting-datagrams.ts";
import type { TextIntake } from "./text-intake.ts";

interface DatagramServiceOptions {
  readonly protocol: string;
  readonly addresses: readonly DatagramAddress[];
  readonly intake: TextIntake;
  /** The receive buffer of each UDP socket. */
  readonly bufferBytes: number;
  readonly counters: Counters;
}

/** Why datagrams are dropped here. */
const CAUSES = ["receive_buffer", "waiting", "too_large"] as const;
/** Interval at which datagrams are counted. */
const COUNT_INTERVAL_MS = 1_000;

export class DatagramService implements Service {
  readonly #options: DatagramServiceOptions;
  readonly #sockets: DatagramSocket[] = [];
  #counting: Timer | undefined;
  #kernelDrops = 0;
  #received = 0;
  #tooLarge = 0;
  #overflowed = 0;

  constructor(options: DatagramServiceOptions) {
    this.#options = options;
    // A counter that begins at its first loss has no increase in PromQL.
    for (const cause of CAUSES)
      options.counters.datagramsDropped.inc({ protocol: options.protocol, cause }, 0);
  }

  get urls(): readonly string[] {
    return this.#sockets.map(({ url }) => url);
  }

  async start(onFault: (error: unknown) => void): Promise<void> {
    const { addresses, intake, bufferBytes } = this.#options;
    intake.start(onFault);
    const onDatagram = (bytes: Uint8Array, from: number, length: number) => {
      if (length > DATAGRAM_BYTES_MAX) this.#tooLarge++;
      else if (intake.add(bytes, from, length)) this.#received++;
      else this.#overflowed++;
    };
    for (const address of addresses)
      this.#sockets.push(await openDatagramSocket(address, bufferBytes, { onDatagram, onFault }));
    this.#counting = setInterval(() => this.#count(), COUNT_INTERVAL_MS);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) await socket.readRest();
    clearInterval(this.#counting);
    this.#count();
    for (const socket of this.#sockets.splice(0)) socket.close();
    this.#kernelDrops = 0;
    await this.#options.intake.stop();
  }

  /** Counts the datagrams since the last call. A counter for each of them would cost more than to decode it. */
  #count(): void {
    const { protocol, intake, counters } = this.#options;
    let kernel = 0;
    for (const socket of this.#sockets) kernel += socket.droppedByKernel();
    if (this.#received > 0) counters.datagramsReceived.inc({ protocol }, this.#received);
    const datagramBufferBytes = this.#sockets[0]?.bufferBytes;
    intake.noteDropped("receive_buffer", Math.max(0, kernel - this.#kernelDrops), { datagramBufferBytes });
    intake.noteDropped("waiting", this.#overflowed);
    intake.noteDropped("too_large", this.#tooLarge);
    this.#kernelDrops = kernel;
    this.#received = this.#overflowed = this.#tooLarge = 0;
  }
}

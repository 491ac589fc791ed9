/** Connects forwarding with the store, with ingest and with the running totals. Its room is loaded if the settings have destinations. */
import { type Config, externalLabels } from "./config/config.ts";
import type { Totals } from "./exposition/totals/totals.ts";
import type { Forwarding } from "./forward/forwarding.ts";
import type { IngestOptions, RowsFollower } from "./ingest/contract.ts";
import type { Ingest } from "./ingest/ingest.ts";
import type { Log } from "./log/log.ts";
import type { Counters } from "./model/counters.ts";
import type { Service } from "./model/service.ts";
import type { Registry } from "./series/registry.ts";
import type { Store, Stored } from "./store/store.ts";
import { readStatesAgain } from "./store/tables/state-rows.ts";

interface Parts {
  readonly config: Config;
  readonly counters: Counters;
  readonly log: Log;
  readonly now: () => number;
  readonly store: Store;
  readonly registry: Registry;
  readonly totals: Totals;
}

/**
 * The forwarding of the settings. Undefined if there are no destinations. It sends when it is started as a service.
 *
 * @param ingest returns ingest, which is opened later because it tells forwarding of new rows
 */
export async function openForwarding(
  { config, counters, log, now, store, registry, totals }: Parts,
  stored: Pick<Stored, "forwards">,
  ingest: () => Ingest,
): Promise<Forwarding | undefined> {
  if (config.forward.length === 0) return undefined;
  const [{ Forwarding }, { Outbox }] = await Promise.all([
    import("./forward/forwarding.ts"),
    import("./forward/outbox/outbox.ts"),
  ]);
  const packed = store.days().reduce((sum, day) => sum + day.packed, 0);
  const known = destinationsOf(stored.forwards);
  for (const { name, backfill } of config.forward)
    if (backfill && packed > 0 && !known.has(name))
      log("forward_without_blocks", { destination: name, samples: packed });
  const added = externalLabels(config);
  const forwarding = new Forwarding({
    ...{ log, now, totals },
    store: rowsOnly(store),
    destinations: config.forward.map((each) => ({ ...each, labels: { ...added, ...each.labels } })),
    outbox: new Outbox(stored.forwards, {
      store: (records) => ingest().storeForwards(() => ({ forwards: records() })),
      load: () => readStatesAgain(store, "forwards"),
    }),
    storeRejected: (rejected) => ingest().storeForwards(() => ({ rejected })),
    holdBytes: config.forwardHoldBytes,
    fileBytes: async () => (await store.fileSizes()).fileBytes,
    series: () => registry.series(),
    kinds: () => registry.metrics(),
    seriesById: (id) => registry.seriesById(id),
    isAttribute: (metric, tag) => registry.isAttribute(metric, tag),
    atRest: (action) => ingest().atRest(action),
    stepMs: config.observationStepMs,
    idleMs: config.seriesIdleMs,
    metrics: counters.registry,
  });
  // Forwarding reads rows by their ids, and packing changes these.
  store.holdRows(() => false, forwarding);
  return forwarding;
}

/**
 * Forgets the destinations of earlier settings when it is started, if the settings have none any more. What they have received
 * would keep rows from becoming blocks. Undefined if there is nothing to forget. With destinations, `Forwarding` forgets others.
 */
export function removedDestinations(
  { config, log }: Pick<Parts, "config" | "log">,
  { forwards }: Pick<Stored, "forwards">,
  ingest: () => Ingest,
): Service | undefined {
  if (config.forward.length > 0 || forwards.length === 0) return undefined;
  return {
    async start(onFault) {
      try {
        const records = forwards.map(({ key }) => ({ key, definition: null }));
        await ingest().storeForwards(() => ({ forwards: records }));
        for (const destination of destinationsOf(forwards)) log("forward_removed", { destination });
      } catch (error) {
        // The disk is full. The next start tries it again.
        onFault(error);
      }
    },
    async stop() {},
  };
}

/** The names of the destinations that have a record. */
function destinationsOf(forwards: Stored["forwards"]): Set<string> {
  return new Set(forwards.map(({ key }) => key.split("/")[0]!));
}

/** The store as one without blocks: the rows of a day are those of its table. */
function rowsOnly(store: Store): Pick<Store, "days" | "moveJournal" | "reader"> {
  return {
    days: () => store.days().map((day) => ({ ...day, rows: day.rows - day.packed })),
    moveJournal: () => store.moveJournal(),
    reader: () => store.reader(),
  };
}

/** The archive, which has to know of deletions and of dropped days. */
interface ArchiveFollower {
  forget(): void;
  dropBefore(firstDay: number): void;
  heldFrom(firstDay: number): Promise<number>;
}

/** What ingest tells of the rows that it stores: cells, forwarding and the archive follow them. */
export function followers(
  cells: RowsFollower,
  forwarding: Forwarding | undefined,
  archive: ArchiveFollower | undefined,
): Pick<IngestOptions, "follower" | "heldFrom"> {
  if (forwarding === undefined && archive === undefined) return { follower: cells };
  return {
    follower: {
      add(rows) {
        cells.add(rows);
        forwarding?.noteRows(rows.length);
      },
      expectDeletion() {
        forwarding?.expectDeletion();
      },
      forget() {
        cells.forget();
        forwarding?.forget();
        archive?.forget();
      },
      dropBefore(firstDay) {
        cells.dropBefore(firstDay);
        forwarding?.dropBefore(firstDay);
        archive?.dropBefore(firstDay);
      },
    },
    heldFrom: async (firstDay) =>
      Math.min(
        (await forwarding?.heldFrom(firstDay)) ?? firstDay,
        (await archive?.heldFrom(firstDay)) ?? firstDay,
      ),
  };
}

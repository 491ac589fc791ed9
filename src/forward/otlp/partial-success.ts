/** Reads ExportMetricsServiceResponse: partial_success=1 with rejected_data_points=1 and error_message=2. Pure. */
import { ProtobufReader } from "../../wire/protobuf.ts";

export interface PartialAnswer {
  readonly rejected: number;
  readonly message: string;
}

const NOTHING: PartialAnswer = { rejected: 0, message: "" };

/** What a destination says of a request that it took. An answer that is no such message says nothing. */
export function readPartialSuccess(body: Uint8Array, contentType: string | null): PartialAnswer {
  try {
    return /json/i.test(contentType ?? "") ? readJson(body) : readProtobuf(body);
  } catch {
    return NOTHING;
  }
}

function readProtobuf(body: Uint8Array): PartialAnswer {
  const reader = new ProtobufReader();
  reader.open(Buffer.from(body));
  let [rejected, message] = [0, ""];
  while (reader.at < body.length) {
    const tag = reader.uint32();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    const end = reader.length();
    while (reader.at < end) {
      const field = reader.uint32();
      if (field === 0x08) rejected = reader.int64();
      else if (field === 0x12) message = reader.text();
      else reader.skip(field);
    }
  }
  return { rejected, message };
}

function readJson(body: Uint8Array): PartialAnswer {
  const { partialSuccess } = JSON.parse(new TextDecoder().decode(body)) as {
    partialSuccess?: { rejectedDataPoints?: string | number; errorMessage?: string };
  };
  return {
    rejected: Number(partialSuccess?.rejectedDataPoints ?? 0),
    message: String(partialSuccess?.errorMessage ?? ""),
  };
}

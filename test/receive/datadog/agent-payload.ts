/** The messages of a Datadog Agent, encoded by protobufjs from the Agent's own definitions. */
import protobuf from "protobufjs";

/** https://github.com/DataDog/agent-payload/blob/master/proto/metrics/agent_payload.proto */
const { root } = protobuf.parse(
  `syntax = "proto3";
   message MetricPayload {
     message MetricPoint { double value = 1; int64 timestamp = 2; }
     message Resource { string type = 1; string name = 2; }
     message Metadata { bytes origin = 1; }
     message MetricSeries {
       repeated Resource resources = 1;
       string metric = 2;
       repeated string tags = 3;
       repeated MetricPoint points = 4;
       int32 type = 5;
       string unit = 6;
       string source_type_name = 7;
       int64 interval = 8;
       Metadata metadata = 9;
     }
     repeated MetricSeries series = 1;
   }
   message SketchPayload {
     message Sketch {
       message Distribution { int64 ts = 1; int64 cnt = 2; }
       message Dogsketch {
         int64 ts = 1; int64 cnt = 2; double min = 3; double max = 4; double avg = 5; double sum = 6;
         repeated sint32 k = 7; repeated uint32 n = 8;
       }
       string metric = 1;
       string host = 2;
       repeated Distribution distributions = 3;
       repeated string tags = 4;
       repeated Dogsketch dogsketches = 7;
     }
     repeated Sketch sketches = 1;
   }`,
  { keepCase: true },
);

function encode(type: string, message: object): Uint8Array<ArrayBuffer> {
  const definition = root.lookupType(type);
  return new Uint8Array(definition.encode(definition.fromObject(message)).finish());
}

export const encodeSeries = (...series: readonly object[]) => encode("MetricPayload", { series });
export const encodeSketches = (...sketches: readonly object[]) => encode("SketchPayload", { sketches });

/** The Agent's bin of a value above 1e-9: the values of neighbours are 1/64 apart (its package pkg/util/quantile). */
export function binOf(value: number): number {
  const log = (of: number) => Math.log(of) / Math.log(1 + 1 / 64);
  return Math.round(log(value)) + 1 - Math.floor(log(1e-9));
}

/** The code of start-x64.s in base64. `scripts/build-entry` writes this file. */

/** SHA-256 of the source. */
export const SOURCE_SHA256 = "69ceb7d76fcf438796b8bb3ee0b0de3a9f34bf5c599b4848b19d39411ed5cc83";

export const START_X64 = [
  "SYnmSYnXSYsGTY1sxhBNiexJg8QISYN8JPgAdfQx2zHtRTHATIniSIsCSItKCEiDwhBIg/gfSA9E2UiD+BdID0TpSIP4B0wPRMFI",
  "hcB12E2FwA+EtwAAAEiF2w+ErgAAAEmNVhBIizJIhfZ0IzHJigQLOgQOdQxI/8GEwHXx6YwAAABIg8IISY1GGEg5wnbVagBIjT2f",
  "AAAAgD8AdDtIhe10CIE/TUFMTHQjTInqSIsySIPCCEiF9nQTMcmKBA86BA516kj/wTw9dfHrAVdI/8eAf/8AdffrwEiDPCQAdC9J",
  "jVQk+Ew56nQISIPqCP8y6/NIid9Ihe10B0iNPSAAAABJjXYISIniuDsAAAAPBUyJ9EyJ+kiNBRQAAABIAwD/4C9wcm9jL3NlbGYv",
  "ZXhlAA==",
].join("");

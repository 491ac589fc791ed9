/** The code of start-x64.s in base64. `scripts/build-entry` writes this file. */

/** SHA-256 of the source. */
export const SOURCE_SHA256 = "8dc2c474fbccd817d40fbdfc852abaea737113a6b3b9bb6d7d137c71dbad90e2";

export const START_X64 = [
  "SYnmSYnXSYsGTY1sxhBNiexJg8QISYN8JPgAdfQx2zHtRTHATIniSIsCSItKCEiDwhBIg/gfSA9E2UiD+BdID0TpSIP4B0wPRMFI",
  "hcB12E2FwA+EqwAAAEiF2w+EogAAAEmNVhBIizJIhfZ0IzHJigQLOgQOdQxI/8GEwHXx6YAAAABIg8IISY1GGEg5wnbVagBIjT2H",
  "AAAAgD8AdDtIhe10CIE/TUFMTHQjTInqSIsySIPCCEiF9nQTMcmKBA86BA516kj/wTw9dfHrAVdI/8eAf/8AdffrwEiDPCQAdCNJ",
  "jVQk+Ew56nQISIPqCP8y6/NIid9JjXYISIniuDsAAAAPBUyJ9EyJ+kiNBQgAAABIAwD/4AAAAA==",
].join("");

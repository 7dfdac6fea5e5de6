// What a port can be, in the order in which the legend tells it.

/**
 * Each state with its number in the map, its name in JSON, what it is called, what it means, and the
 * letter that stands for it beside its colour.
 */
export const STATES = [
  { id: "backend", name: "backend", meaning: "held by an app as its backend", letter: "B" },
  { id: "frontend", name: "frontend", meaning: "held by an app as its frontend", letter: "F" },
  { id: "other-role", name: "other role", meaning: "held by an app for a further role", letter: "O" },
  { id: "promised", name: "promised", meaning: "promised to an app that does not hold it yet", letter: "P" },
  { id: "in-use", name: "in use", meaning: "used by this host, and held by no app", letter: "H" },
  { id: "pool", name: "pool", meaning: "reserved for the models of a pool", letter: "p" },
  { id: "blocked", name: "blocked", meaning: "never given out: browsers or the block list refuse it", letter: "x" },
  { id: "ephemeral", name: "ephemeral", meaning: "of the host's ephemeral range, given out last", letter: "~" },
  { id: "free", name: "free", meaning: "free", letter: "" },
];

/** The number of a state. */
export const STATE = Object.fromEntries(STATES.map((state, number) => [state.id, number]));

/** The state in which a held port of this role is. */
export function stateOfRole(role) {
  return STATE[role] !== undefined && (role === "backend" || role === "frontend")
    ? STATE[role]
    : STATE["other-role"];
}

/** Whether an app holds the ports of this state. */
export function isHeld(state) {
  return state <= STATE["other-role"];
}

/** How many ports there are, counted from 0. */
export const PORTS = 65536;

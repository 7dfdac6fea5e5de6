// What the page knows of one port space: the apps, and what each port is.
//
// It is filled from the server's answers and kept up by its events. An event is applied twice without
// harm, since the stream begins at a revision from before the list was read.

import { PORTS, STATE, isHeld, stateOfRole } from "./states.js";
import { appKey } from "./words.js";

export class Book {
  /** The apps by key. */
  apps = new Map();
  /** What each port is, by its number. */
  states = new Uint8Array(PORTS).fill(STATE.free);
  /** What a port is beneath the app that holds it, as far as it was ever seen. */
  beneath = new Uint8Array(PORTS).fill(STATE.free);
  /** The app that holds a port. */
  holders = new Map();
  /** The conflicts as the server told them, and those of each port and app. */
  conflicts = [];
  conflictsOfPort = new Map();
  conflictsOfApp = new Map();

  /** Sets the ports from the server's stretches of one state. */
  setLine(stretches) {
    this.states.fill(STATE.free);
    for (const { first, last, state } of stretches) {
      this.states.fill(STATE[state] ?? STATE.free, first, last + 1);
    }
    for (let port = 0; port < PORTS; port++) {
      if (!isHeld(this.states[port])) this.beneath[port] = this.states[port];
    }
    for (const app of this.apps.values()) this.#hold(app);
  }

  /** Sets the apps from the server's list. */
  setApps(records) {
    this.apps.clear();
    this.holders.clear();
    for (const record of records) this.#put(appOf(record));
  }

  setConflicts(conflicts) {
    const wereInUse = this.#appsInUseByStrangers();
    this.conflicts = conflicts;
    this.conflictsOfPort.clear();
    this.conflictsOfApp.clear();
    for (const conflict of conflicts) {
      if (conflict.port != null) append(this.conflictsOfPort, conflict.port, conflict);
      for (const app of conflict.apps) append(this.conflictsOfApp, app, conflict);
    }
    // The list told once which apps are usable; who uses ports of this host changes meanwhile.
    const areInUse = this.#appsInUseByStrangers();
    for (const key of wereInUse.union(areInUse)) {
      const app = this.apps.get(key);
      if (app) app.isAvailable = !areInUse.has(key);
    }
  }

  #appsInUseByStrangers() {
    const ofStrangers = this.conflicts.filter((conflict) => conflict.kind === "host-in-use");
    return new Set(ofStrangers.flatMap((conflict) => conflict.apps));
  }

  /** The app that holds a port, if one does. */
  holderOf(port) {
    return this.holders.get(port);
  }

  /** Applies a change as the history records it, and tells which ports it is about. */
  apply(record) {
    const key = record.app_num === undefined ? undefined : appKey(record.model, record.app_num);
    const app = this.apps.get(key);
    switch (record.change) {
      case "allocated":
        if (app) this.#drop(app);
        this.#put(appOf({ ...record, created_at: record.created_at ?? record.at }));
        return Object.values(record.ports);
      case "extended":
        if (app) this.#put({ ...app, ports: { ...app.ports, ...record.ports } });
        return Object.values(record.ports);
      case "moved": {
        if (!app) return [];
        this.#drop(app);
        const kept = Object.entries(app.ports).filter(([role]) => !(role in record.from));
        this.#put({ ...app, ports: { ...Object.fromEntries(kept), ...record.to } });
        return [...Object.values(record.from), ...Object.values(record.to)];
      }
      case "released":
        if (app) this.#drop(app);
        return Object.values(record.ports);
      default:
        return [];
    }
  }

  #put(app) {
    this.apps.set(app.key, app);
    this.#hold(app);
  }

  #hold(app) {
    for (const [role, port] of Object.entries(app.ports)) {
      this.holders.set(port, app);
      this.states[port] = stateOfRole(role);
    }
  }

  #drop(app) {
    this.apps.delete(app.key);
    for (const port of Object.values(app.ports)) {
      if (this.holders.get(port)?.key !== app.key) continue;
      this.holders.delete(port);
      this.states[port] = this.beneath[port];
    }
  }
}

function appOf(record) {
  return {
    key: appKey(record.model, record.app_num),
    model: record.model,
    number: record.app_num,
    ports: record.ports,
    isAvailable: record.is_available ?? true,
    createdAt: record.created_at,
  };
}

function append(map, key, value) {
  if (map.has(key)) map.get(key).push(value);
  else map.set(key, [value]);
}

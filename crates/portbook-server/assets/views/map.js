// The view of the port map: the picture with its legend, its buttons and its words.

import { PortMap } from "../map/port-map.js";
import { PORTS, STATES } from "../states.js";
import { element, byId } from "../element.js";
import { count } from "../words.js";
import { isConflict, showFigures } from "./figures.js";

export class MapView {
  constructor(live, { onSelect }) {
    this.live = live;
    this.hidden = new Set();
    this.showsConflicts = true;
    this.map = new PortMap(byId("stage"), {
      describe: (port) => describe(live.book, port),
      siblings: (port) => Object.values(live.book.holderOf(port)?.ports ?? {}),
      onSelect,
      onLayout: (layout) => (byId("zoom-out").disabled = layout.zoom <= 1),
    });
    byId("zoom-in").addEventListener("click", () => this.map.zoomIn());
    byId("zoom-out").addEventListener("click", () => this.map.zoomOut());
    byId("zoom-reset").addEventListener("click", () => this.map.reset());
    byId("go-to").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#goToWritten();
    });
    live.addEventListener("loaded", () => this.#show());
    live.addEventListener("derived", () => this.#show());
    live.addEventListener("changed", ({ detail }) => {
      this.#show();
      this.map.flash(detail.ports);
    });
  }

  /** Outlines an app's ports, or none. */
  select(app) {
    this.map.select(app ? Object.values(app.ports) : []);
  }

  /** Goes to a port and has the keys work there. */
  goTo(port) {
    this.map.goTo(port, { near: true });
    byId("stage").focus();
  }

  recolour() {
    this.map.recolour();
  }

  #goToWritten() {
    const field = byId("go-to-port");
    const port = Number(field.value);
    if (!Number.isInteger(port) || port < 1 || port >= PORTS) {
      field.setCustomValidity("Ports run from 1 to 65535");
      field.reportValidity();
      field.addEventListener("input", () => field.setCustomValidity(""), { once: true });
      return;
    }
    this.goTo(port);
  }

  #show() {
    const { book } = this.live;
    const inConflict = new Set(book.conflicts.filter((it) => it.port != null && isConflict(it)).map((it) => it.port));
    this.map.show(book.states, this.showsConflicts ? [...inConflict] : []);
    this.#showLegend(inConflict.size);
    showFigures(this.live);
  }

  #showLegend(conflicts) {
    const tally = new Uint32Array(STATES.length);
    for (let port = 1; port < PORTS; port++) tally[this.live.book.states[port]]++;
    const legend = byId("legend");
    if (!legend.children.length) this.#makeLegend(legend);
    [...tally, conflicts].forEach((number, at) => {
      legend.children[at].querySelector("small").textContent = count(number);
    });
  }

  #makeLegend(legend) {
    const entry = (id, name, meaning, toggle) => {
      const button = element(
        "button",
        { type: "button", "aria-pressed": "true", title: meaning },
        element("span", { class: "swatch", "data-state": id, "aria-hidden": "true" }),
        element("span", {}, name),
        element("small", {}),
      );
      button.addEventListener("click", () => {
        const shows = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", shows);
        toggle(shows);
      });
      return button;
    };
    const entries = STATES.map(({ id, name, meaning }, state) =>
      entry(id, name, meaning, (shows) => {
        if (shows) this.hidden.delete(state);
        else this.hidden.add(state);
        this.map.hide(this.hidden);
      }),
    );
    const conflict = entry("conflict", "in conflict", "two claims on one port, or one that cannot be honoured", (shows) => {
      this.showsConflicts = shows;
      this.#show();
    });
    legend.append(...entries, conflict);
  }
}

/** What a port is, in words. */
export function describe(book, port) {
  const state = STATES[book.states[port]];
  const holder = book.holderOf(port);
  const conflict = book.conflictsOfPort.get(port)?.[0]?.message;
  if (!holder) return { title: `${port} ${state.name}`, detail: state.id === "free" ? undefined : state.meaning, conflict };
  const role = Object.entries(holder.ports).find(([, held]) => held === port)[0];
  return { title: `${port} ${role}`, detail: holder.key, conflict };
}

// The port map: all ports as one picture, to point at, to walk through with keys, to zoom and to drag.
//
// To those who do not see it, it is a slider over the port line whose value says what each port is.

import { PORTS, STATES } from "../states.js";
import { Layout } from "./layout.js";
import { MARGIN, Painter } from "./painter.js";

const ZOOM_STEP = 1.6;
/** How long a port that just changed is ringed. */
const FRESH_FOR = 1800;

export class PortMap {
  /**
   * `describe(port)` says what a port is, as `{ title, detail }`; `siblings(port)` which ports its app
   * holds; `onSelect(port)` is called when one is chosen.
   */
  constructor(stage, { describe, siblings, onSelect, onLayout }) {
    Object.assign(this, { stage, describe, siblings, onSelect, onLayout });
    this.canvas = stage.querySelector("canvas");
    this.tip = stage.querySelector(".map-tip");
    this.painter = new Painter(this.canvas);
    this.states = new Uint8Array(PORTS).fill(STATES.length - 1);
    this.hidden = new Set();
    this.conflicts = [];
    this.fresh = new Map();
    this.selected = [];
    this.cursor = 5001;
    this.pointers = new Map();
    new ResizeObserver(() => this.#resize()).observe(stage);
    this.#listen();
  }

  /** Shows these states, conflicts ringed. */
  show(states, conflicts) {
    this.states = states;
    this.conflicts = conflicts;
    this.#prepare();
    this.#sayWhere();
  }

  /** Rings ports that just changed, for a moment. */
  flash(ports) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const now = performance.now();
    for (const port of ports.slice(0, 200)) this.fresh.set(port, now);
    this.draw();
  }

  /** Dims the ports of these states. */
  hide(states) {
    this.hidden = states;
    this.#prepare();
  }

  /** Outlines the ports of the chosen app. */
  select(ports) {
    this.selected = ports;
    this.draw();
  }

  /** Takes the colours from the style sheet anew. */
  recolour() {
    this.painter.readColours();
    this.#prepare();
  }

  /** Goes to a port, close enough to see it. */
  goTo(port, { near = false } = {}) {
    this.cursor = port;
    if (near && this.layout && this.layout.across < 10 * this.layout.ratio) {
      const cell = this.layout.cell(port);
      this.layout.zoomAt((14 * this.layout.ratio) / this.layout.across, cell.x, cell.y);
    }
    this.layout?.reveal(port);
    this.#sayWhere();
    this.draw();
  }

  zoom(factor, x = this.layout.width / 2, y = this.layout.height / 2) {
    this.layout.zoomAt(factor, x, y);
    this.draw();
  }

  zoomIn() {
    this.#zoomAtCursor(ZOOM_STEP);
  }

  zoomOut() {
    this.#zoomAtCursor(1 / ZOOM_STEP);
  }

  reset() {
    this.zoom(1 / this.layout.zoom);
  }

  /** Paints in the next frame, however often it is asked for until then. */
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.#paint();
    });
  }

  #zoomAtCursor(factor) {
    const cell = this.layout.cell(this.cursor);
    const inSight = cell.x >= 0 && cell.y >= 0 && cell.x < this.layout.width && cell.y < this.layout.height;
    if (inSight) this.zoom(factor, cell.x, cell.y);
    else this.zoom(factor);
  }

  #resize() {
    const ratio = Math.min(3, devicePixelRatio || 1);
    const { clientWidth, clientHeight } = this.stage;
    if (!clientWidth || !clientHeight) return;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    const width = this.canvas.width - MARGIN.left * ratio;
    const height = this.canvas.height - MARGIN.top * ratio;
    const before = this.layout;
    this.layout = new Layout(width, height, ratio);
    if (before) this.layout.keepSightOf(before);
    this.#prepare();
    this.#sayWhere();
  }

  #prepare() {
    if (!this.layout) return;
    this.painter.prepare(this.layout, this.states, this.hidden);
    this.draw();
  }

  #paint() {
    if (!this.layout) return;
    const now = performance.now();
    const fresh = [];
    for (const [port, since] of this.fresh) {
      if (now - since > FRESH_FOR) this.fresh.delete(port);
      else fresh.push([port, (now - since) / FRESH_FOR]);
    }
    this.painter.paint(this.layout, {
      states: this.states,
      conflicts: this.conflicts,
      fresh,
      outlined: [...this.selected, ...(this.pointed === undefined ? [] : this.siblings(this.pointed))],
      pointed: this.pointed,
      cursor: this.cursor,
      showsCursor: this.stage.matches(":focus-visible"),
    });
    this.stage.classList.toggle("can-pan", this.layout.zoom > 1);
    this.onLayout(this.layout);
    if (fresh.length) this.draw();
  }

  #listen() {
    const { stage } = this;
    stage.addEventListener("pointermove", (event) => this.#onMove(event));
    stage.addEventListener("pointerdown", (event) => this.#onDown(event));
    stage.addEventListener("pointerup", (event) => this.#onUp(event));
    stage.addEventListener("pointercancel", (event) => this.#forget(event));
    stage.addEventListener("pointerleave", () => this.#point(undefined));
    stage.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    stage.addEventListener("keydown", (event) => this.#onKey(event));
    stage.addEventListener("focus", () => {
      if (!stage.matches(":focus-visible")) return;
      this.layout?.reveal(this.cursor);
      this.#showTip(this.cursor);
      this.draw();
    });
    stage.addEventListener("blur", () => {
      this.#showTip(undefined);
      this.draw();
    });
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    const { ratio } = this.layout;
    return {
      x: (event.clientX - box.left - MARGIN.left) * ratio,
      y: (event.clientY - box.top - MARGIN.top) * ratio,
    };
  }

  #portAt(event) {
    const { x, y } = this.#place(event);
    return x < 0 || y < 0 ? undefined : this.layout.portAt(x, y);
  }

  #onDown(event) {
    if (event.button !== 0) return;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.#place(event));
    this.dragged = 0;
  }

  #onMove(event) {
    const from = this.pointers.get(event.pointerId);
    if (!from) return this.#point(this.#portAt(event));
    const to = this.#place(event);
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    if (others.length) {
      const other = others[0][1];
      const apart = (place) => Math.hypot(place.x - other.x, place.y - other.y);
      if (apart(from) > 0) this.layout.zoomAt(apart(to) / apart(from), other.x, other.y);
      this.dragged = Infinity;
    } else {
      this.layout.pan(from.x - to.x, from.y - to.y);
      this.dragged += Math.hypot(from.x - to.x, from.y - to.y);
    }
    this.pointers.set(event.pointerId, to);
    this.#point(undefined);
    this.draw();
  }

  #onUp(event) {
    if (!this.pointers.has(event.pointerId)) return;
    this.#forget(event);
    const port = this.#portAt(event);
    if (this.dragged > 4 * this.layout.ratio || port === undefined) return;
    this.cursor = port;
    this.#sayWhere();
    this.onSelect(port);
  }

  #forget(event) {
    this.pointers.delete(event.pointerId);
  }

  #onWheel(event) {
    event.preventDefault();
    const { x, y } = this.#place(event);
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.06 : 0.002)), x, y);
  }

  #onKey(event) {
    if (event.altKey || event.metaKey) return;
    const { columns } = this.layout;
    const steps = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: columns,
      ArrowUp: -columns,
      PageDown: 1000,
      PageUp: -1000,
    };
    const actions = {
      Enter: () => this.onSelect(this.cursor),
      " ": () => this.onSelect(this.cursor),
      Home: () => this.#walk(1),
      End: () => this.#walk(PORTS - 1),
      "+": () => this.zoomIn(),
      "=": () => this.zoomIn(),
      "-": () => this.zoomOut(),
      0: () => this.reset(),
    };
    if (event.key in steps) {
      const step = steps[event.key];
      this.#walk(event.ctrlKey ? this.#nextStretch(Math.sign(step)) : this.cursor + step);
    } else if (event.key in actions && !event.ctrlKey) actions[event.key]();
    else return;
    event.preventDefault();
  }

  #walk(port) {
    if (port < 1 || port >= PORTS) return;
    this.cursor = port;
    this.layout.reveal(port);
    this.#sayWhere();
    this.#showTip(port);
    this.draw();
  }

  /** The first port, in this direction, that is not what the one here is. */
  #nextStretch(direction) {
    const state = this.states[this.cursor];
    let port = this.cursor;
    while (port + direction >= 1 && port + direction < PORTS) {
      port += direction;
      if (this.states[port] !== state) break;
    }
    return port;
  }

  #point(port) {
    if (port === this.pointed) return;
    this.pointed = port;
    this.#showTip(port);
    this.draw();
  }

  #sayWhere() {
    const { title, detail } = this.describe(this.cursor);
    this.stage.setAttribute("aria-valuenow", this.cursor);
    this.stage.setAttribute("aria-valuetext", detail ? `${title}, ${detail}` : title);
  }

  #showTip(port) {
    const { tip } = this;
    tip.hidden = port === undefined;
    if (port === undefined) return;
    const { title, detail, conflict } = this.describe(port);
    const [head, state, holder, trouble] = tip.children;
    head.textContent = String(port);
    state.textContent = title.replace(`${port} `, "");
    holder.textContent = detail ?? "";
    trouble.textContent = conflict ?? "";
    const cell = this.layout.cell(port);
    const { ratio } = this.layout;
    const x = MARGIN.left + (cell.x + cell.width) / ratio;
    const y = MARGIN.top + (cell.y + cell.height) / ratio;
    const room = { x: this.stage.clientWidth, y: this.stage.clientHeight };
    const left = x + 12 + tip.offsetWidth > room.x ? x - cell.width / ratio - 12 - tip.offsetWidth : x + 12;
    const top = y + 12 + tip.offsetHeight > room.y ? y - cell.height / ratio - 12 - tip.offsetHeight : y + 12;
    tip.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, top)}px)`;
  }
}

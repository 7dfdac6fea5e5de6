// A table of any length, of which only the rows in sight are elements.
//
// The table says how many rows it has (`aria-rowcount`) and each row which one it is
// (`aria-rowindex`), so that nothing is lost on those who do not see it. It is one stop for the Tab
// key; the arrow keys go from row to row.

import { element } from "./element.js";

/** Rows that are kept above and below those in sight. */
const MARGIN = 8;

export class LongTable {
  /**
   * `columns`: `[{ id, title, cell(row) → content, class?, sort?: "ascending" | "descending" }]`; one
   * with `sort` can be sorted by, beginning that way. The first column's content is a row's button.
   */
  constructor(scroller, { caption, columns, keyOf, onOpen, onSort, rowClass = () => "" }) {
    Object.assign(this, { scroller, columns, keyOf, onOpen, onSort, rowClass });
    this.rows = [];
    this.shown = new Map();
    this.active = 0;
    this.selected = undefined;
    this.body = element("tbody");
    this.above = element("tr", { class: "filler", "aria-hidden": "true" }, this.#fillerCell());
    this.below = element("tr", { class: "filler", "aria-hidden": "true" }, this.#fillerCell());
    this.body.append(this.above, this.below);
    this.headings = columns.map((column) => this.#heading(column));
    this.table = element(
      "table",
      { class: "long-table" },
      element("caption", { class: "visually-hidden" }, caption),
      element("thead", {}, element("tr", { "aria-rowindex": "1" }, this.headings)),
      this.body,
    );
    scroller.append(this.table);
    // It has the focus when the row that had it is scrolled out of sight.
    scroller.tabIndex = -1;
    scroller.addEventListener("scroll", () => this.#place(), { passive: true });
    scroller.addEventListener("keydown", (event) => this.#onKey(event));
    this.body.addEventListener("click", (event) => this.#onClick(event));
    new ResizeObserver(() => this.#place()).observe(scroller);
  }

  /** Shows these rows; the order is the caller's. */
  setRows(rows, { keepPlace = false } = {}) {
    const hadFocus = this.body.contains(document.activeElement);
    const focused = hadFocus ? this.keyOf(this.rows[this.active]) : undefined;
    this.rows = rows;
    this.table.setAttribute("aria-rowcount", rows.length + 1);
    this.active = Math.min(this.active, Math.max(0, rows.length - 1));
    if (hadFocus) {
      const at = rows.findIndex((row) => this.keyOf(row) === focused);
      if (at >= 0) this.active = at;
    } else if (!keepPlace) {
      this.active = 0;
      this.scroller.scrollTop = 0;
    }
    for (const row of this.shown.values()) row.remove();
    this.shown.clear();
    this.#place();
    if (hadFocus) this.#focusActive();
  }

  /** Says by which column the rows are in order. */
  showOrder(id, direction) {
    this.columns.forEach((column, at) => {
      if (column.id === id) this.headings[at].setAttribute("aria-sort", direction);
      else this.headings[at].removeAttribute("aria-sort");
    });
  }

  /** Marks the row of this key as the one that is shown elsewhere. */
  select(key) {
    this.selected = key;
    for (const [at, row] of this.shown) this.#mark(row, at);
  }

  #heading(column) {
    if (!column.sort) return element("th", { scope: "col", class: column.class }, column.title);
    const button = element(
      "button",
      { type: "button", class: "sort", onclick: () => this.onSort(column) },
      element("span", { class: "sort-mark", "aria-hidden": "true" }),
      column.title,
    );
    return element("th", { scope: "col", class: column.class }, button);
  }

  #fillerCell() {
    return element("td");
  }

  get #rowHeight() {
    return parseFloat(getComputedStyle(this.table).getPropertyValue("--row-height")) || 32;
  }

  #place() {
    if (!this.scroller.clientHeight) return;
    const height = this.#rowHeight;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / height) - MARGIN);
    const inSight = Math.ceil(this.scroller.clientHeight / height);
    const end = Math.min(this.rows.length, first + inSight + 2 * MARGIN);
    const hadFocus = this.body.contains(document.activeElement);
    // First, so that the table is never shorter than it has to be, and keeps its place.
    this.above.firstChild.style.height = `${first * height}px`;
    this.below.firstChild.style.height = `${(this.rows.length - end) * height}px`;
    const leaving = [...this.shown].filter(([at]) => at < first || at >= end);
    if (leaving.some(([, row]) => row.contains(document.activeElement))) {
      this.scroller.focus({ preventScroll: true });
    }
    for (const [at, row] of leaving) {
      row.remove();
      this.shown.delete(at);
    }
    let next = this.below;
    for (let at = end - 1; at >= first; at--) {
      let row = this.shown.get(at);
      if (!row) {
        row = this.#row(at);
        this.shown.set(at, row);
        next.before(row);
      }
      next = row;
    }
    // One row of those in sight can be reached with Tab, also after scrolling with the mouse.
    if (!hadFocus && (this.active < first || this.active >= end)) this.#activate(first);
  }

  #row(at) {
    const item = this.rows[at];
    const cells = this.columns.map((column, number) => {
      const content = column.cell(item);
      if (number > 0) return element("td", { class: column.class }, content);
      const button = element("button", { type: "button", class: "row-button" }, content);
      return element("th", { scope: "row", class: column.class }, button);
    });
    const row = element("tr", { "aria-rowindex": at + 2, class: this.rowClass(item) }, cells);
    this.#mark(row, at);
    return row;
  }

  #mark(row, at) {
    const isSelected = this.selected !== undefined && this.keyOf(this.rows[at]) === this.selected;
    row.classList.toggle("selected", isSelected);
    const button = row.querySelector(".row-button");
    button.tabIndex = at === this.active ? 0 : -1;
    if (isSelected) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }

  #activate(at) {
    this.active = at;
    for (const [number, row] of this.shown) this.#mark(row, number);
  }

  #onClick(event) {
    const row = event.target.closest("tr[aria-rowindex]");
    if (!row || event.target.closest("a")) return;
    const at = Number(row.getAttribute("aria-rowindex")) - 2;
    this.#activate(at);
    this.onOpen(this.rows[at]);
  }

  #onKey(event) {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.#rowHeight) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    const last = this.rows.length - 1;
    let to;
    if (event.key in steps) to = this.active + steps[event.key];
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = last;
    else return;
    if (last < 0 || event.target.closest("thead")) return;
    event.preventDefault();
    this.#activate(Math.max(0, Math.min(last, to)));
    this.#focusActive();
  }

  #focusActive() {
    if (!this.rows.length) return this.scroller.focus();
    this.#reveal();
    this.shown.get(this.active)?.querySelector(".row-button").focus({ preventScroll: true });
  }

  #reveal() {
    const height = this.#rowHeight;
    const top = this.active * height;
    const room = this.scroller.clientHeight - this.table.tHead.offsetHeight;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + height > this.scroller.scrollTop + room) {
      this.scroller.scrollTop = top + height - room;
    }
    this.#place();
  }
}

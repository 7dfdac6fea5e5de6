// The view of all apps: search, filters, order.

import { LongTable } from "../long-table.js";
import { element, byId } from "../element.js";
import { announce } from "../announce.js";
import { brief, count, counted, exact, portsInWords } from "../words.js";

const compareText = new Intl.Collator("en", { numeric: true }).compare;

/** How apps are compared by each column. */
const ORDERS = {
  app: (a, b) => compareText(a.model, b.model) || a.number - b.number,
  number: (a, b) => a.number - b.number || compareText(a.model, b.model),
  backend: (a, b) => a.ports.backend - b.ports.backend,
  frontend: (a, b) => a.ports.frontend - b.ports.frontend,
  usable: (a, b) => a.isAvailable - b.isAvailable || ORDERS.app(a, b),
  since: (a, b) => compareTimes(a.createdAt, b.createdAt) || ORDERS.app(a, b),
};

export class AppsView {
  constructor(live, { onOpen }) {
    this.live = live;
    this.ordered = [];
    this.order = { id: "app", direction: "ascending" };
    this.form = byId("app-filters");
    const column = (id, title, cell, className, sort) => ({ id, title, cell, class: className, sort });
    this.table = new LongTable(byId("app-table"), {
      caption: "Apps and their ports",
      keyOf: (app) => app.key,
      onOpen,
      onSort: (column) => this.#sortBy(column),
      columns: [
        column("app", "Model", (app) => element("span", { class: "app-name" }, app.model), "app-table-model", "ascending"),
        column("number", "App", (app) => String(app.number), "number app-table-number", "ascending"),
        column("backend", "Backend", (app) => app.ports.backend ?? "–", "number app-table-port", "ascending"),
        column("frontend", "Frontend", (app) => app.ports.frontend ?? "–", "number app-table-port", "ascending"),
        column("more", "Other roles", furtherPorts, "quiet-text app-table-more"),
        column("usable", "Ports", usability, "app-table-usable", "ascending"),
        column("since", "Since", since, "quiet-text app-table-since", "descending"),
      ],
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", () => this.#show({ says: true }));
    for (const news of ["loaded", "changed", "derived"]) {
      live.addEventListener(news, () => {
        this.isStale = true;
        if (this.isOpen) this.#onNews();
      });
    }
  }

  open() {
    this.isOpen = true;
    if (this.isStale) this.#onNews();
  }

  close() {
    this.isOpen = false;
  }

  /** Marks the app that is shown in the panel. */
  select(app) {
    this.table.select(app?.key);
  }

  /** Shows the apps of one model. */
  showModel(model) {
    this.form.reset();
    this.form.elements.model.value = model;
    this.#show();
  }

  #onNews() {
    this.isStale = false;
    this.#sort();
    this.#offer("model", "all", (app) => [app.model]);
    this.#offer("role", "any", (app) => Object.keys(app.ports));
    this.#show({ keepPlace: true });
  }

  /** Fills a filter with what there is to choose from, and keeps what is chosen. */
  #offer(name, all, valuesOf) {
    const choice = this.form.elements[name];
    const values = new Set([...this.live.book.apps.values()].flatMap(valuesOf));
    const known = [...choice.options].slice(1).map((option) => option.value);
    const sorted = [...values].sort(compareText);
    if (known.length === sorted.length && known.every((value, at) => value === sorted[at])) return;
    const chosen = choice.value;
    choice.replaceChildren(new Option(all, ""), ...sorted.map((value) => new Option(value, value)));
    choice.value = values.has(chosen) ? chosen : "";
  }

  #sortBy(column) {
    const turned = { ascending: "descending", descending: "ascending" };
    const isSame = this.order.id === column.id;
    const direction = isSame ? turned[this.order.direction] : column.sort;
    this.order = { id: column.id, direction };
    this.#sort();
    this.#show();
    announce(`sorted by ${column.title.toLowerCase()}, ${direction}`);
  }

  #sort() {
    const compare = ORDERS[this.order.id];
    const sign = this.order.direction === "ascending" ? 1 : -1;
    this.ordered = [...this.live.book.apps.values()].sort((a, b) => sign * compare(a, b));
  }

  #show({ keepPlace = false, says = false } = {}) {
    const { text, model, role, usable } = Object.fromEntries(new FormData(this.form));
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const all = this.ordered;
    const chosen = all.filter(
      (app) =>
        (!model || app.model === model) &&
        (!role || role in app.ports) &&
        (!usable || app.isAvailable === (usable === "yes")) &&
        words.every((word) => matches(app, word)),
    );
    this.table.setRows(chosen, { keepPlace });
    this.table.showOrder(this.order.id, this.order.direction);
    const result =
      chosen.length === all.length
        ? counted(all.length, "app")
        : `${count(chosen.length)} of ${counted(all.length, "app")}`;
    byId("app-count").textContent = all.length ? result : "No app holds ports yet: allocate some.";
    if (says) announce(result);
  }
}

/** A word is found in the model's name, or is the app's number or one of its ports, or begins one. */
function matches(app, word) {
  if (app.key.toLowerCase().includes(word)) return true;
  return Object.values(app.ports).some((port) => String(port).startsWith(word));
}

function compareTimes(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function furtherPorts(app) {
  const further = Object.entries(app.ports).filter(([role]) => role !== "backend" && role !== "frontend");
  return further.length ? portsInWords(Object.fromEntries(further)) : "";
}

function usability(app) {
  return app.isAvailable ? element("span", { class: "quiet-text" }, "usable") : element("span", { class: "unusable" }, "unusable");
}

function since(app) {
  return element("time", { datetime: app.createdAt, title: exact(app.createdAt) }, brief(app.createdAt));
}

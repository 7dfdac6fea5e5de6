// The view of what happened, latest first.

import { LongTable } from "../long-table.js";
import { element, byId } from "../element.js";
import { announce } from "../announce.js";
import { appKey, brief, count, counted, exact, portsInWords } from "../words.js";

const CHANGES = ["allocated", "extended", "released", "renewed", "moved", "noted", "promised", "unpromised", "pool-added", "pool-removed", "accepted"];

export class HistoryView {
  constructor(live, api, { onOpen }) {
    this.live = live;
    this.api = api;
    this.records = undefined;
    this.form = byId("history-filters");
    const column = (id, title, cell, className) => ({ id, title, cell, class: `history-table-${id} ${className ?? ""}` });
    this.table = new LongTable(byId("history-table"), {
      caption: "What happened, latest first",
      keyOf: (record) => record.revision,
      onOpen: (record) => record.app_num !== undefined && onOpen(appKey(record.model, record.app_num)),
      columns: [
        column("what", "What", (record) => subjectOf(record)),
        column("change", "Change", (record) => record.change.replace("-", " ")),
        column("why", "Why", causeOf, "quiet-text"),
        column("time", "When", (record) => timeOf(record, exact), "quiet-text"),
        column("by", "By", (record) => record.by, "quiet-text"),
        column("revision", "Revision", (record) => String(record.revision), "number"),
      ],
    });
    const change = this.form.elements.change;
    change.append(new Option("any", ""), ...CHANGES.map((name) => new Option(name.replace("-", " "), name)));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => {
      if (event.target.name === "last") this.#read();
      else this.#show({ says: true });
    });
    live.addEventListener("loaded", () => this.isOpen && this.#read());
    live.addEventListener("changed", ({ detail }) => this.#add(detail.records));
  }

  /** Reads the history at the first visit: it may be long. */
  open() {
    this.isOpen = true;
    if (!this.records) this.#read();
  }

  close() {
    this.isOpen = false;
  }

  async #read() {
    byId("history-count").textContent = "reading";
    try {
      const records = await this.api.get("history", { last: this.form.elements.last.value });
      this.records = records.reverse();
      this.#show();
    } catch (error) {
      byId("history-count").textContent = error.message;
    }
  }

  #add(records) {
    if (!this.records) return;
    const latest = this.records[0]?.revision ?? 0;
    this.records = [...records.filter((record) => record.revision > latest).reverse(), ...this.records];
    this.#show({ keepPlace: true });
  }

  #show({ keepPlace = false, says = false } = {}) {
    if (!this.records) return;
    const { text, change } = Object.fromEntries(new FormData(this.form));
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = this.records.filter((record) => {
      if (change && record.change !== change) return false;
      const told = `${textOf(record)} ${record.by}`.toLowerCase();
      return words.every((word) => told.includes(word));
    });
    this.table.setRows(chosen, { keepPlace });
    const result =
      chosen.length === this.records.length
        ? counted(chosen.length, "change")
        : `${count(chosen.length)} of ${counted(this.records.length, "change")}`;
    byId("history-count").textContent = result;
    if (says) announce(result);
  }
}

/** What a change is about, with the app apart. */
export function subjectOf(record) {
  return record.app_num === undefined
    ? detailOf(record)
    : [
        element("span", { class: "app-name" }, appKey(record.model, record.app_num)),
        element("span", { class: "quiet-text" }, `  ${detailOf(record)}`),
      ];
}

function textOf(record) {
  const app = record.app_num === undefined ? "" : `${appKey(record.model, record.app_num)} `;
  return app + detailOf(record);
}

/** What a change did, without the app. */
export function detailOf(record) {
  switch (record.change) {
    case "renewed":
      return `until ${exact(record.lease.expires_at)}`;
    case "moved":
      return `from ${portsInWords(record.from)} to ${portsInWords(record.to)}`;
    case "promised":
      return `${counted(record.file.promises.length, "promise")} of ${record.file.source}`;
    case "unpromised":
      return `the promises of ${record.source}`;
    case "pool-added":
    case "pool-removed":
      return `${record.pool.name}: ${record.pool.ports.join(" to ")} for ${record.pool.models}`;
    case "accepted":
      return "the book as it lay";
    case "noted":
      return record.notes?.directory?.path ? `in ${record.notes.directory.path}` : "";
    default:
      return portsInWords(record.ports);
  }
}

function causeOf(record) {
  const cause = { allocated: record.source, released: record.cause, moved: record.why }[record.change];
  return (cause ?? "").replaceAll(/[-_]/g, " ");
}

/** When it happened. */
export function timeOf(record, write = brief) {
  return element("time", { datetime: record.at, title: exact(record.at) }, write(record.at));
}

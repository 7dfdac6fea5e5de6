// The panel beside the view: the app or port that is looked at, else what happened last.

import { element, byId, icon } from "./element.js";
import { announce } from "./announce.js";
import { appPath } from "./api.js";
import { STATES, stateOfRole } from "./states.js";
import { troubleOf } from "./dialogs/dialog.js";
import { detailOf, timeOf } from "./views/history.js";
import { appKey, counted, distance, exact } from "./words.js";

const CHANGES_SHOWN = 12;

export class Panel {
  constructor(live, api, { onSelect, onPort, onRelease }) {
    Object.assign(this, { live, api, onSelect, onPort, onRelease });
    this.element = byId("panel");
    this.shown = undefined;
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    for (const news of ["loaded", "changed", "derived"]) {
      live.addEventListener(news, ({ detail }) => this.#refresh(detail));
    }
  }

  /** Shows an app; the focus goes to it, and back to where it was when the panel is closed. */
  showApp(key) {
    this.#begin({ key });
    this.#showApp();
    this.#focus();
    this.#ask(key);
  }

  #showApp() {
    const app = this.live.book.apps.get(this.shown.key);
    this.onSelect(app);
    if (app) this.#render(app);
    else this.#showGone();
  }

  /** Asks for what the list does not tell. */
  async #ask(key) {
    const app = this.live.book.apps.get(key);
    if (!app) return;
    const [record, history] = await Promise.all([
      this.api.get(appPath(app.model, app.number)).catch(() => undefined),
      this.api.get("history", { model: app.model, app_num: app.number, last: CHANGES_SHOWN }).catch(() => []),
    ]);
    if (this.shown?.key !== key) return;
    this.shown = { key, record, history: history.reverse() };
    this.#showApp();
  }

  /** Shows a port that no app holds. */
  showPort(port) {
    this.#begin({ port });
    this.onSelect(undefined);
    this.#renderPort();
    this.#focus();
  }

  #renderPort() {
    const { port } = this.shown;
    const holder = this.live.book.holderOf(port);
    const state = STATES[this.live.book.states[port]];
    const conflicts = this.live.book.conflictsOfPort.get(port) ?? [];
    this.#replace(
      this.#head(`Port ${port}`),
      element(
        "p",
        { class: "held-port" },
        element("span", { class: "swatch", "data-state": state.id, "aria-hidden": "true" }),
        element("span", {}, sentence(holder ? `held by ${holder.key}` : state.meaning)),
      ),
      ...conflictsOf(conflicts),
    );
  }

  /** Says why the book cannot be shown, and offers to try again. */
  showTrouble(error, tryAgain) {
    this.shown = { trouble: true };
    this.element.dataset.open = "";
    this.#replace(
      element("h2", { tabindex: "-1" }, "The book cannot be shown"),
      troubleOf(error),
      element(
        "div",
        { class: "actions" },
        element("button", { type: "button", class: "button", "data-role": "again", onclick: tryAgain }, "Try again"),
      ),
    );
  }

  /** Shows what happened last. */
  close() {
    if (!this.shown) return;
    this.shown = undefined;
    delete this.element.dataset.open;
    this.onSelect(undefined);
    this.#showFeed();
    this.cameFrom?.focus();
    this.cameFrom = undefined;
  }

  #begin(shown) {
    if (!this.element.contains(document.activeElement)) this.cameFrom = document.activeElement;
    this.shown = shown;
    this.element.dataset.open = "";
  }

  #focus() {
    this.element.querySelector("h2").focus();
  }

  /** After news: changes of other apps do not touch what is shown. */
  #refresh(detail) {
    if (this.shown?.trouble) {
      // News means that it is over.
      this.shown = undefined;
      delete this.element.dataset.open;
    }
    if (!this.shown) return this.#showFeed();
    if (this.shown.port !== undefined) return this.#renderPort();
    if (!detail) return this.#showApp();
    const isAboutIt = ({ model, app_num: number }) => appKey(model, number) === this.shown.key;
    if (!detail.records.some(isAboutIt)) return;
    this.#showApp();
    this.#ask(this.shown.key);
  }

  #head(title) {
    return element(
      "div",
      { class: "panel-head" },
      element("h2", { tabindex: "-1" }, title),
      element(
        "button",
        { type: "button", class: "button quiet square", "aria-label": "Close", "data-role": "close", onclick: () => this.close() },
        icon("close"),
      ),
    );
  }

  /** Puts other content into the panel; the focus stays on the part that had it. */
  #replace(...content) {
    const hadFocus = this.element.contains(document.activeElement);
    const { role } = document.activeElement.dataset;
    this.element.replaceChildren(...content);
    if (!hadFocus) return;
    const again = role && this.element.querySelector(`[data-role=${role}]`);
    (again || this.element.querySelector("h2")).focus();
  }

  #render(app) {
    const { record, history } = this.shown;
    const conflicts = this.live.book.conflictsOfApp.get(app.key) ?? [];
    this.#replace(
      this.#head(app.key),
      element("ul", { class: "held" }, Object.entries(app.ports).map(([role, port]) => this.#port(role, port))),
      factsOf(app, record),
      element(
        "div",
        { class: "actions" },
        element("button", { type: "button", class: "button", "data-role": "copy", onclick: () => copy(app) }, icon("copy"), "Copy as variables"),
        element(
          "button",
          { type: "button", class: "button danger", "data-role": "release", onclick: () => this.onRelease(app) },
          "Release…",
        ),
      ),
      ...conflictsOf(conflicts),
      ...(history?.length ? [element("h3", {}, "What happened to it"), feed(history, undefined)] : []),
    );
  }

  #port(role, port) {
    const state = STATES[stateOfRole(role)];
    return element(
      "li",
      { class: "held-port" },
      element("span", { class: "swatch", "data-state": state.id, "aria-hidden": "true" }),
      element("span", {}, role),
      element("span", { class: "mono" }, String(port)),
      element(
        "span",
        {},
        element(
          "button",
          { type: "button", class: "button quiet square", "aria-label": `Show ${port} on the map`, title: "Show on the map", onclick: () => this.onPort(port) },
          icon("here"),
        ),
        element(
          "a",
          { class: "button quiet square", href: `${location.protocol === "https:" ? "https" : "http"}://${location.hostname}:${port}/`, target: "_blank", rel: "noopener noreferrer", "aria-label": `Open ${role} ${port} in a new tab`, title: "Open in a new tab" },
          icon("out"),
        ),
      ),
    );
  }

  #showGone() {
    this.#replace(
      this.#head(this.shown.key),
      element("p", { class: "quiet-text" }, "It holds no ports now. When it asks again it gets those it had, if they are still free."),
    );
  }

  #showFeed() {
    const { recent } = this.live;
    this.#replace(
      element("h2", { tabindex: "-1" }, "What happened last"),
      recent.length
        ? feed(recent.slice(0, 20), (key) => this.showApp(key))
        : element("p", { class: "quiet-text" }, "Nothing yet. ", element("code", {}, "portbook allocate openai_gpt-4 1"), " gives an app its ports."),
    );
  }
}

function feed(records, onOpen) {
  const entry = (record) => {
    const isOfApp = record.app_num !== undefined;
    const key = isOfApp && appKey(record.model, record.app_num);
    const name = isOfApp && onOpen
      ? element("button", { type: "button", class: "mono", onclick: () => onOpen(key) }, key)
      : element("span", {}, onOpen ? "" : record.change.replace("-", " "));
    const did = onOpen ? `${record.change.replace("-", " ")} ${detailOf(record)}` : detailOf(record);
    return element("li", {}, element("div", { class: "what" }, name, element("span", { class: "change" }, did)), timeOf(record));
  };
  return element("ol", { class: "feed" }, records.map(entry));
}

function factsOf(app, record) {
  const expires = record?.expires_at;
  const facts = [
    ["Since", element("time", { datetime: app.createdAt }, exact(app.createdAt))],
    ["Ports", app.isAvailable ? "usable" : element("span", { class: "unusable" }, "unusable")],
    record && ["Came by", record.source.replace("_", " ")],
    expires && ["Lease", `ends ${distance(expires)}, ${exact(expires)}`],
  ];
  return element(
    "dl",
    { class: "facts" },
    facts.filter(Boolean).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

function conflictsOf(conflicts) {
  if (!conflicts.length) return [];
  return [
    element("h3", {}, counted(conflicts.length, "conflict")),
    ...conflicts.map((conflict) =>
      element("div", { class: "trouble" }, element("p", {}, conflict.message), element("p", {}, conflict.hint)),
    ),
  ];
}

async function copy(app) {
  const lines = Object.entries(app.ports).map(([role, port]) => `${role.toUpperCase().replaceAll(/\W/g, "_")}_PORT=${port}`);
  try {
    await navigator.clipboard.writeText(lines.join("\n") + "\n");
    announce("Copied");
  } catch {
    announce("The browser does not let the page copy");
  }
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

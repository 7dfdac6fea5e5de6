// The view of what is wrong, what to do about it, and the repair.

import { element, byId } from "../element.js";
import { announce, tell } from "../announce.js";
import { appKey, counted } from "../words.js";
import { ask, troubleOf } from "../dialogs/dialog.js";
import { isConflict } from "./figures.js";

export class ConflictsView {
  constructor(live, api, { onOpen, onPort }) {
    Object.assign(this, { live, api, onOpen, onPort });
    byId("check-again").addEventListener("click", async () => {
      await live.derive();
      announce(byId("conflict-count").textContent);
    });
    live.addEventListener("loaded", () => this.#show());
    live.addEventListener("derived", () => this.#show());
  }

  open() {
    this.isOpen = true;
    this.#plan();
  }

  close() {
    this.isOpen = false;
  }

  #show() {
    const { conflicts } = this.live.book;
    const wrong = conflicts.filter(isConflict);
    const warnings = conflicts.length - wrong.length;
    byId("conflict-list").replaceChildren(...conflicts.map((conflict) => this.#entry(conflict)));
    const told = [counted(wrong.length, "conflict")];
    if (warnings) told.push(counted(warnings, "warning"));
    byId("conflict-count").textContent = conflicts.length
      ? told.join(" and ")
      : "None: every claim on a port can be honoured.";
    const tally = document.querySelector("[data-tally=conflicts]");
    tally.textContent = wrong.length || "";
    tally.classList.toggle("alarming", wrong.length > 0);
    if (this.isOpen) this.#plan();
  }

  #entry(conflict) {
    const app = (key) =>
      element("button", { type: "button", class: "link-button", onclick: () => this.onOpen(key) }, key);
    return element(
      "li",
      { class: isConflict(conflict) ? "conflict" : "conflict warning" },
      conflict.port == null
        ? element("span", {}, "book")
        : element(
            "button",
            {
              type: "button",
              class: "link-button conflict-port",
              "aria-label": `Port ${conflict.port}: show it on the map`,
              onclick: () => this.onPort(conflict.port),
            },
            String(conflict.port),
          ),
      element(
        "div",
        { class: "conflict-text" },
        element("p", { class: "conflict-message" }, conflict.message),
        element("p", { class: "conflict-hint" }, conflict.hint),
        conflict.apps.length > 0 && element("div", { class: "conflict-apps" }, conflict.apps.map(app)),
      ),
      element("span", { class: "conflict-kind" }, conflict.kind),
    );
  }

  /** Asks what a repair would move, and offers to do it. */
  async #plan() {
    const place = byId("repair");
    if (!this.live.book.conflicts.length) {
      place.replaceChildren(element("p", { class: "quiet-text" }, "There is nothing to repair."));
      return;
    }
    try {
      this.#showPlan(await this.api.post("repair", { apply: false }));
    } catch (error) {
      place.replaceChildren(troubleOf(error));
    }
  }

  #showPlan({ moves, left }) {
    const place = byId("repair");
    const stays = left.length > 0 && [
      element("h4", {}, "What no move resolves"),
      element("ul", { class: "stays" }, left.map(stayingEntry)),
    ];
    if (!moves.length) {
      const text = "No conflict can be resolved by moving ports.";
      place.replaceChildren(element("p", { class: "quiet-text" }, text), ...(stays || []));
      return;
    }
    const action = `Move ${counted(moves.length, "port")}…`;
    const apply = element("button", { type: "button", class: "button danger", id: "apply-repair" }, action);
    apply.addEventListener("click", () => this.#apply(moves));
    place.replaceChildren(movesTable(moves), apply, ...(stays || []));
  }

  async #apply(moves) {
    const action = `Move ${counted(moves.length, "port")}`;
    const repair = await ask({
      title: "Repair the book?",
      text: "These apps get other ports, all in one step. Start them anew so that they use them.",
      content: movesTable(moves),
      action,
      isDangerous: true,
      isWide: true,
      run: () => this.api.post("repair", { apply: true }),
    });
    if (!repair) return;
    tell(`${counted(repair.moves.length, "port")} moved.`);
    await this.live.derive();
    byId("title-conflicts").focus();
  }
}

function movesTable(moves) {
  const row = (move) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", class: "mono" }, appKey(move.model, move.app_num)),
      element("td", {}, move.role),
      element("td", { class: "mono" }, String(move.from)),
      element("td", { class: "mono" }, String(move.to)),
      element("td", { class: "quiet-text" }, move.why),
    );
  const heading = (text) => element("th", { scope: "col" }, text);
  return element(
    "div",
    { class: "moves-scroller" },
    element(
      "table",
      { class: "moves" },
      element("thead", {}, element("tr", {}, ["App", "Role", "From", "To", "Why"].map(heading))),
      element("tbody", {}, moves.map(row)),
    ),
  );
}

function stayingEntry(conflict) {
  return element("li", {}, conflict.message, element("span", { class: "quiet-text" }, ` — ${conflict.why}`));
}

// The view of how much is used: over time, by range, by pool, by model.

import { element, byId } from "../element.js";
import { STATES, stateOfRole } from "../states.js";
import { count, counted, share } from "../words.js";
import { Curve } from "./curve.js";
import { gauge } from "./figures.js";

const MODELS_AT_FIRST = 30;
/** How far back the curve looks, in changes. */
const CHANGES = 20000;

export class UseView {
  constructor(live, api, { onModel }) {
    Object.assign(this, { live, api, onModel });
    this.curve = new Curve(byId("use-over-time"));
    this.showsAll = false;
    live.addEventListener("loaded", () => this.isOpen && this.open());
    live.addEventListener("derived", () => this.isOpen && this.#show());
    live.addEventListener("changed", ({ detail }) => this.#add(detail.records));
  }

  async open() {
    this.isOpen = true;
    if (!this.live.stats) return;
    this.#show();
    try {
      this.records = await this.api.get("history", { last: CHANGES });
      this.#draw();
    } catch (error) {
      this.curve.say(error.message);
    }
  }

  close() {
    this.isOpen = false;
  }

  #add(records) {
    if (!this.records) return;
    this.records.push(...records);
    if (this.isOpen) this.#draw();
  }

  #draw() {
    this.curve.draw(appsOverTime(this.records, this.live.book.apps.size));
  }

  #show() {
    const { stats } = this.live;
    byId("use-ranges").replaceChildren(...stats.ranges.map(rangeGauge));
    byId("use-pools").replaceChildren(
      ...(stats.pools.length
        ? stats.pools.map(poolGauge)
        : [
            element(
              "p",
              { class: "quiet-text" },
              "No pool. ",
              element("code", {}, "portbook pool add"),
              " reserves a range for models.",
            ),
          ]),
    );
    this.#showModels(stats.models);
  }

  #showModels(models) {
    const sorted = [...models].sort((a, b) => b.apps - a.apps);
    const most = sorted[0]?.apps ?? 1;
    const shown = this.showsAll ? sorted : sorted.slice(0, MODELS_AT_FIRST);
    const list = byId("use-models");
    list.replaceChildren(...shown.map((model) => this.#modelBar(model, most)));
    if (!models.length) list.append(element("li", { class: "quiet-text" }, "No app holds ports yet."));
    list.parentElement.querySelector(".button")?.remove();
    if (shown.length === sorted.length) return;
    const more = element("button", { type: "button", class: "button" }, `Show all ${counted(sorted.length, "model")}`);
    more.addEventListener("click", () => {
      this.showsAll = true;
      this.#showModels(models);
      list.children[MODELS_AT_FIRST].querySelector("button").focus();
    });
    list.after(more);
  }

  #modelBar({ model, apps }, most) {
    const bar = element("i");
    bar.style.width = `${(100 * apps) / most}%`;
    return element(
      "li",
      { class: "model" },
      element(
        "button",
        { type: "button", class: "link-button", title: model, onclick: () => this.onModel(model) },
        model,
      ),
      element("span", { class: "model-bar", "aria-hidden": "true" }, bar),
      element("output", { "aria-label": counted(apps, "app") }, count(apps)),
    );
  }
}

/** How many apps held ports after each change, counted back from how many do now. */
function appsOverTime(records, now) {
  const step = { allocated: 1, released: -1 };
  const points = [];
  let apps = now;
  for (let at = records.length - 1; at >= 0; at--) {
    const change = step[records[at].change];
    if (!change) continue;
    points.push({ time: Date.parse(records[at].at), value: apps });
    apps -= change;
  }
  if (points.length) points.push({ time: points.at(-1).time, value: apps });
  return points.reverse();
}

function rangeGauge({ role, base, step, max, used, free }) {
  return element(
    "div",
    { class: "gauge" },
    element("span", {}, role, " ", element("small", {}, `${base} to ${max}, step ${step}`)),
    element("span", {}, share(used, used + free), " ", element("small", {}, `${count(used)} used, ${count(free)} free`)),
    gauge(STATES[stateOfRole(role)].id, used, used + free),
  );
}

function poolGauge({ name, ports, models, used, free }) {
  return element(
    "div",
    { class: "gauge" },
    element("span", {}, name, " ", element("small", {}, `${ports.join(" to ")} for ${models}`)),
    element("span", {}, share(used, used + free), " ", element("small", {}, `${count(used)} used, ${count(free)} free`)),
    gauge("pool", used, used + free),
  );
}

// A curve over time, drawn in steps, since a number of apps does not slide.

import { drawing, element } from "../element.js";
import { count, counted, dayOf, exact } from "../words.js";

const HEIGHT = 200;
const PAD = { left: 44, right: 8, top: 8, bottom: 22 };

export class Curve {
  constructor(figure) {
    this.figure = figure;
    this.caption = element("figcaption", {});
    figure.append(this.caption);
    this.points = [];
    new ResizeObserver(() => this.#render()).observe(figure);
  }

  /** Draws points `{ time, value }` in order of time. */
  draw(points) {
    this.points = points;
    this.#render();
  }

  /** Says something in the curve's place. */
  say(text) {
    this.caption.textContent = text;
  }

  #render() {
    const width = this.figure.clientWidth;
    this.figure.querySelector("svg")?.remove();
    if (!width) return;
    if (!this.points.length) return this.say("Nothing has happened yet.");
    const first = this.points[0];
    const last = this.points.at(-1);
    const end = Math.max(Date.now(), last.time);
    const span = Math.max(1, end - first.time);
    const top = niceCeiling(this.points.reduce((most, point) => Math.max(most, point.value), 1));
    const x = (time) => PAD.left + ((time - first.time) / span) * (width - PAD.left - PAD.right);
    const y = (value) => HEIGHT - PAD.bottom - (value / top) * (HEIGHT - PAD.top - PAD.bottom);
    const summary = `From ${exact(first.time)} to now: from ${count(first.value)} to ${counted(last.value, "app")}`;
    const svg = drawing("svg", { role: "img", "aria-label": summary, viewBox: `0 0 ${width} ${HEIGHT}` });
    for (const part of [0, 0.5, 1]) {
      const value = Math.round(top * part);
      svg.append(
        drawing("line", { class: "grid", x1: PAD.left, x2: width - PAD.right, y1: y(value), y2: y(value) }),
        drawing("text", { x: PAD.left - 8, y: y(value) + 4, "text-anchor": "end" }, count(value)),
      );
    }
    const line = steps(this.points, x, y, end);
    svg.append(
      drawing("path", { class: "area", d: `${line}V${y(0)}H${x(first.time)}Z` }),
      drawing("path", { class: "curve", d: line }),
      drawing("text", { x: PAD.left, y: HEIGHT - 4 }, startLabel(first.time)),
      drawing("text", { x: width - PAD.right, y: HEIGHT - 4, "text-anchor": "end" }, "now"),
    );
    const cross = drawing("line", { class: "cross", y1: PAD.top, y2: HEIGHT - PAD.bottom, visibility: "hidden" });
    svg.append(cross);
    svg.addEventListener("pointermove", (event) => {
      const at = event.clientX - svg.getBoundingClientRect().left;
      const time = first.time + ((at - PAD.left) / (width - PAD.left - PAD.right)) * span;
      const point = this.points.findLast((candidate) => candidate.time <= time) ?? first;
      cross.setAttribute("x1", x(point.time));
      cross.setAttribute("x2", x(point.time));
      cross.setAttribute("visibility", "visible");
      this.say(`${exact(point.time)}: ${counted(point.value, "app")}`);
    });
    svg.addEventListener("pointerleave", () => {
      cross.setAttribute("visibility", "hidden");
      this.say(summary);
    });
    this.figure.prepend(svg);
    this.say(summary);
  }
}

/** A path in steps; what falls on one pixel is drawn once. */
function steps(points, x, y, end) {
  let path = `M${x(points[0].time)},${y(points[0].value)}`;
  let drawnAt = -1;
  points.forEach((point, at) => {
    const here = Math.round(x(point.time) * 2) / 2;
    const isLastHere = at === points.length - 1 || Math.round(x(points[at + 1].time) * 2) / 2 !== here;
    if (here === drawnAt && !isLastHere) return;
    path += `H${here}V${y(point.value).toFixed(1)}`;
    drawnAt = here;
  });
  return `${path}H${x(end)}`;
}

function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((digit) => digit * power).find((nice) => nice >= value && (nice % 2 === 0 || nice === 1));
}

function startLabel(time) {
  return Date.now() - time < 86400000 ? exact(time).split(", ").at(-1) : dayOf(time);
}

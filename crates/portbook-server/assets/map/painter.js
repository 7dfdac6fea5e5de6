// Painting the port line: an image with a pixel for each port, enlarged, and what is written over it.

import { PORTS, STATES } from "../states.js";

/** The margin on the left and at the top, in CSS pixels, where positions are written. */
export const MARGIN = { left: 46, top: 18 };

const DIMMED = 0.86;
/** A cell must be this wide, in CSS pixels, for its port to be written into it. */
const WRITABLE = 38;

export class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.image = document.createElement("canvas");
    this.readColours();
  }

  /** Takes the colours from the style sheet, after every change of scheme. */
  readColours() {
    const probe = this.canvas.parentElement.appendChild(document.createElement("span"));
    const read = (name) => {
      probe.style.color = `var(--${name})`;
      return getComputedStyle(probe).color;
    };
    this.colours = STATES.map((state) => parts(read(`state-${state.id}`)));
    this.ground = read("ground");
    this.back = parts(this.ground);
    this.text = read("text");
    this.muted = read("muted");
    this.conflict = read("state-conflict");
    this.focus = read("focus");
    this.onHeld = read("on-held");
    this.mono = getComputedStyle(probe).getPropertyValue("--mono");
    probe.remove();
  }

  /** Makes the image anew: a pixel for each port, those of hidden states dimmed. */
  prepare(layout, states, hidden) {
    const { image } = this;
    if (image.width !== layout.columns || image.height !== layout.rows) {
      image.width = layout.columns;
      image.height = layout.rows;
    }
    const colours = this.colours.map((colour, state) =>
      hidden.has(state) ? mix(colour, this.back, DIMMED) : colour,
    );
    const pixels = new ImageData(layout.columns, layout.rows);
    const words = new Uint32Array(pixels.data.buffer);
    const packed = colours.map(([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red);
    for (let port = 1; port < PORTS; port++) words[port] = packed[states[port]];
    image.getContext("2d").putImageData(pixels, 0, 0);
  }

  /** Paints what is in sight. */
  paint(layout, { states, conflicts, fresh, outlined, pointed, cursor, showsCursor }) {
    const { context } = this;
    const { ratio } = layout;
    const left = MARGIN.left * ratio;
    const top = MARGIN.top * ratio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = this.ground;
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.save();
    context.beginPath();
    context.rect(left, top, layout.width, layout.height);
    context.clip();
    context.translate(left, top);
    context.imageSmoothingEnabled = false;
    context.drawImage(
      this.image,
      -layout.x,
      -layout.y,
      layout.columns * layout.across,
      layout.rows * layout.down,
    );
    this.#rule(layout);
    if (layout.across >= WRITABLE * ratio) this.#write(layout, states);
    for (const [port, age] of fresh) this.#ring(layout, port, this.text, 1 - age);
    for (const port of conflicts) this.#ring(layout, port, this.conflict, 1);
    for (const port of outlined) this.#outline(layout, port, this.text, 1.5);
    if (pointed !== undefined) this.#outline(layout, pointed, this.text, 2);
    if (showsCursor) this.#outline(layout, cursor, this.focus, 2.5);
    context.restore();
    this.#writeMargins(layout, left, top);
  }

  /** Gaps between lines and cells, as far as there is room for them. */
  #rule(layout) {
    const { context } = this;
    context.fillStyle = this.ground;
    const gap = Math.max(1, Math.round(layout.ratio * Math.min(2, layout.down / 14)));
    const wide = layout.columns * layout.across - layout.x;
    if (layout.down >= 4) {
      const [first, last] = layout.rowsInSight();
      for (let row = first; row <= last; row++) {
        const y = Math.round((row + 1) * layout.down - layout.y) - gap;
        context.fillRect(0, y, wide, gap);
      }
    }
    if (layout.across >= 5) {
      const thin = layout.across >= 12 ? gap : 1;
      const [first, last] = layout.columnsInSight();
      for (let column = first; column <= last; column++) {
        const x = Math.round((column + 1) * layout.across - layout.x) - thin;
        context.fillRect(x, 0, thin, layout.height);
      }
    }
  }

  #write(layout, states) {
    const { context } = this;
    const size = 11 * layout.ratio;
    context.font = `500 ${size}px ${this.mono}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    const [top, bottom] = layout.rowsInSight();
    const [first, last] = layout.columnsInSight();
    for (let row = top; row <= bottom; row++) {
      for (let column = first; column <= last; column++) {
        const port = row * layout.columns + column;
        if (port < 1 || port >= PORTS) continue;
        const state = STATES[states[port]];
        const cell = layout.cell(port);
        const isPale = state.id === "free" || state.id === "ephemeral";
        context.fillStyle = isPale ? this.muted : this.onHeld;
        const middle = cell.y + Math.min(cell.height / 2, 14 * layout.ratio);
        context.fillText(String(port), cell.x + 4 * layout.ratio, middle);
        if (cell.height > 34 * layout.ratio) {
          context.fillText(state.letter, cell.x + 4 * layout.ratio, middle + 14 * layout.ratio);
        }
      }
    }
  }

  #outline(layout, port, colour, width) {
    const { context } = this;
    const cell = layout.cell(port);
    const line = width * layout.ratio;
    // Small cells get a frame that is large enough to be seen.
    const grow = Math.max(0, (9 * layout.ratio - Math.min(cell.width, cell.height)) / 2);
    const x = cell.x - Math.max(grow, line / 2);
    const y = cell.y - Math.max(Math.min(grow, 4 * layout.ratio), line / 2);
    const frame = [x, y, 2 * (cell.x - x) + cell.width, 2 * (cell.y - y) + cell.height];
    context.lineWidth = line + 2 * layout.ratio;
    context.strokeStyle = this.ground;
    context.strokeRect(...frame);
    context.lineWidth = line;
    context.strokeStyle = colour;
    context.strokeRect(...frame);
  }

  #ring(layout, port, colour, strength) {
    const { context } = this;
    const cell = layout.cell(port);
    const radius = Math.max(6.5 * layout.ratio, Math.min(cell.width, cell.height) * 0.62);
    const circle = () => {
      context.beginPath();
      context.arc(cell.x + cell.width / 2, cell.y + cell.height / 2, radius, 0, 2 * Math.PI);
      context.stroke();
    };
    context.globalAlpha = strength;
    context.lineWidth = 4 * layout.ratio;
    context.strokeStyle = this.ground;
    circle();
    context.lineWidth = 2 * layout.ratio;
    context.strokeStyle = colour;
    circle();
    context.globalAlpha = 1;
  }

  #writeMargins(layout, left, top) {
    const { context } = this;
    const { ratio } = layout;
    context.font = `400 ${10.5 * ratio}px ${this.mono}`;
    context.fillStyle = this.muted;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const every = roundStep(Math.ceil((15 * ratio) / layout.down) * layout.columns);
    const [firstRow, lastRow] = layout.rowsInSight();
    for (let row = firstRow; row <= lastRow; row++) {
      const port = row * layout.columns;
      if (port % every !== 0) continue;
      const y = top + row * layout.down - layout.y + layout.down / 2;
      if (y < top || y > top + layout.height) continue;
      context.fillText(String(port), left - 7 * ratio, y);
    }
    context.textAlign = "center";
    const step = roundStep(Math.ceil((46 * ratio) / layout.across));
    const [firstColumn, lastColumn] = layout.columnsInSight();
    for (let column = Math.ceil(firstColumn / step) * step; column <= lastColumn; column += step) {
      const x = left + column * layout.across - layout.x + layout.across / 2;
      if (x < left - 1 || x > left + layout.width - 12 * ratio) continue;
      context.fillText(column === 0 ? "+0" : `+${column}`, Math.max(x, left + 8 * ratio), top / 2);
    }
  }
}

/** The next larger of 1, 2, 5, 10, 20, 50, ... that divides into round numbers. */
function roundStep(least) {
  for (let power = 1; ; power *= 10) {
    for (const digit of [1, 2, 5]) if (digit * power >= least) return digit * power;
  }
}

/** Red, green and blue of a colour as the browser computes it: `rgb(15, 132, 119)`. */
function parts(colour) {
  return colour.match(/\d+/g).slice(0, 3).map(Number);
}

function mix(colour, other, share) {
  return colour.map((part, at) => Math.round(part * (1 - share) + other[at] * share));
}

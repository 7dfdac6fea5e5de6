// Where a port is in the picture.
//
// The port line is written like text, from left to right and top to bottom, a round number of ports a
// line: a range is a band, neighbours are neighbours, and where a port is can be read off the margin.

import { PORTS } from "../states.js";

const COLUMNS = [1000, 500, 250, 200, 100];
/** The widest and the highest that a cell gets, in CSS pixels; wide enough to write its port into it. */
const WIDEST = 56;
const HIGHEST = 96;
const WRITABLE = 40;

export class Layout {
  /**
   * Fits every port into `width` times `height` device pixels. A cell is whole pixels wide, since in a
   * range with a step of 2 uneven widths would show as waves; lines may differ by a pixel.
   */
  constructor(width, height, ratio) {
    this.width = width;
    this.height = height;
    this.ratio = ratio;
    let best;
    for (const columns of COLUMNS) {
      const rows = Math.ceil(PORTS / columns);
      const cellWidth = Math.floor(width / columns);
      const cellHeight = height / rows;
      // Large cells first; among equals, those that leave the least room at the side.
      const score = Math.min(cellWidth, Math.floor(cellHeight)) + (0.9 * columns * cellWidth) / width;
      if (!best || score > best.score) best = { columns, rows, cellWidth, cellHeight, score };
    }
    this.columns = best.columns;
    this.rows = best.rows;
    this.cellWidth = Math.max(1, best.cellWidth);
    this.cellHeight = best.cellHeight;
    const widest = (WIDEST * ratio) / this.cellWidth;
    const highest = (HIGHEST * ratio) / this.cellHeight;
    const writable = (WRITABLE * ratio) / this.cellWidth;
    this.largest = Math.max(1, Math.min(widest, Math.max(highest, writable)));
    this.zoom = 1;
    this.x = 0;
    this.y = 0;
  }

  get across() {
    return this.cellWidth * this.zoom;
  }

  get down() {
    return this.cellHeight * this.zoom;
  }

  /** The cell of a port, in device pixels. */
  cell(port) {
    return {
      x: (port % this.columns) * this.across - this.x,
      y: Math.floor(port / this.columns) * this.down - this.y,
      width: this.across,
      height: this.down,
    };
  }

  /** The port at a place, if there is one. */
  portAt(x, y) {
    const column = Math.floor((x + this.x) / this.across);
    const row = Math.floor((y + this.y) / this.down);
    if (column < 0 || column >= this.columns || row < 0) return undefined;
    const port = row * this.columns + column;
    return port >= 1 && port < PORTS ? port : undefined;
  }

  /** The rows that are at least partly in sight. */
  rowsInSight() {
    const first = Math.max(0, Math.floor(this.y / this.down));
    const last = Math.min(this.rows - 1, Math.floor((this.y + this.height) / this.down));
    return [first, last];
  }

  /** The columns that are at least partly in sight. */
  columnsInSight() {
    const first = Math.max(0, Math.floor(this.x / this.across));
    const last = Math.min(this.columns - 1, Math.floor((this.x + this.width) / this.across));
    return [first, last];
  }

  /** Makes everything `factor` times as large around a place that stays where it is. */
  zoomAt(factor, x, y) {
    const zoom = Math.max(1, Math.min(this.largest, this.zoom * factor));
    const scale = zoom / this.zoom;
    this.x = (this.x + x) * scale - x;
    this.y = (this.y + y) * scale - y;
    this.zoom = zoom;
    this.#clamp();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.#clamp();
  }

  /** Brings a port into sight, with some of what is around it. */
  reveal(port) {
    const cell = this.cell(port);
    const margin = { x: Math.min(this.width / 4, cell.width * 4), y: Math.min(this.height / 4, cell.height * 2) };
    if (cell.x < margin.x) this.x += cell.x - margin.x;
    if (cell.y < margin.y) this.y += cell.y - margin.y;
    const beyondX = cell.x + cell.width + margin.x - this.width;
    const beyondY = cell.y + cell.height + margin.y - this.height;
    if (beyondX > 0) this.x += beyondX;
    if (beyondY > 0) this.y += beyondY;
    this.#clamp();
  }

  /** The same place in the port line, after the picture got another size. */
  keepSightOf(other) {
    if (other.zoom <= 1) return;
    const port = other.portAt(other.width / 2, other.height / 2);
    this.zoom = Math.min(this.largest, Math.max(1, other.across / this.cellWidth));
    if (port === undefined) return this.#clamp();
    const cell = this.cell(port);
    this.pan(cell.x - this.width / 2, cell.y - this.height / 2);
  }

  #clamp() {
    const most = (whole, part) => Math.max(0, whole - part);
    this.x = Math.max(0, Math.min(most(this.columns * this.across, this.width), this.x));
    this.y = Math.max(0, Math.min(most(this.rows * this.down, this.height), this.y));
  }
}

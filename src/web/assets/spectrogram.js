// Shows the columns and peaks that the fingerprint uses, as they arrive.

import { colourMap } from "./colours.js";

// The displayed range of levels below the loudest, in half decibels: the unit of a level's byte.
const RANGE = 2 * 62;
const STEPS = 320;

export class Spectrogram {
  #canvas;
  #cells = document.createElement("canvas");
  #columns = [];
  #loudest = 0;
  #scale = null;
  #seconds;

  // Shows this many seconds at once, or more if a file is longer.
  constructor(canvas, seconds) {
    this.#canvas = canvas;
    this.#seconds = seconds;
  }

  addColumns(buffer) {
    const header = new DataView(buffer);
    const [first, rows] = [header.getUint32(0, true), header.getUint32(4, true)];
    const cells = new Uint8Array(buffer, 8);
    for (let start = 0; start < cells.length; start += rows) {
      const column = cells.subarray(start, start + rows);
      this.#columns[first + start / rows] = column;
      for (const cell of column) this.#loudest = Math.max(this.#loudest, cell);
    }
  }

  setScale(picture) {
    this.#scale = picture;
    this.draw();
  }

  get peaks() {
    return this.#scale?.peaks ?? [];
  }

  // Called when nothing more will come. Stretches the columns to fill the picture.
  fit() {
    this.#seconds = 1;
    this.draw();
  }

  draw() {
    if (!this.#scale || !this.#columns.length) return;
    const density = window.devicePixelRatio || 1;
    const [width, height] = [this.#canvas.clientWidth * density, this.#canvas.clientHeight * density];
    [this.#canvas.width, this.#canvas.height] = [width, height];
    const dark = window.isDark();
    const pen = this.#canvas.getContext("2d");
    const map = colourMap(dark);
    pen.fillStyle = `rgb(${map[0]} ${map[1]} ${map[2]})`;
    pen.fillRect(0, 0, width, height);
    this.#fillCells(map);
    const heard = this.#columns.length * this.#scale.frame_seconds;
    const seconds = Math.max(this.#seconds, heard);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.#cells, 0, 0, (heard / seconds) * width, height);
    this.#drawPeaks(pen, seconds, density, dark);
  }

  // Draws one pixel per column and step of pitch, with low pitches at the bottom.
  #fillCells(map) {
    const columns = this.#columns.length;
    [this.#cells.width, this.#cells.height] = [columns, STEPS];
    const pen = this.#cells.getContext("2d");
    const image = pen.createImageData(columns, STEPS);
    const quietest = this.#loudest - RANGE;
    const rows = Array.from({ length: STEPS }, (_, step) => this.#row(step / (STEPS - 1)));
    this.#columns.forEach((column, x) => {
      rows.forEach((row, step) => {
        const [below, share] = [Math.floor(row), row % 1];
        const level = column[below] + share * ((column[below + 1] ?? column[below]) - column[below]);
        const at = 3 * Math.round(255 * (Math.max(0, level - quietest) / RANGE) ** 2);
        const pixel = 4 * ((STEPS - 1 - step) * columns + x);
        image.data.set([map[at], map[at + 1], map[at + 2], 255], pixel);
      });
    });
    pen.putImageData(image, 0, 0);
  }

  // The row of the columns at this height. Equal steps of height are equal intervals of pitch.
  #row(height) {
    const { low_hz: low, high_hz: high } = this.#scale;
    return ((low * (high / low) ** height - low) / (high - low)) * (this.#columns[0].length - 1);
  }

  #drawPeaks(pen, seconds, density, dark) {
    const { low_hz: low, high_hz: high, peaks } = this.#scale;
    const { width, height } = this.#canvas;
    pen.lineWidth = 1.6 * density;
    pen.strokeStyle = dark ? "#0f1413" : "#ffffff";
    pen.fillStyle = dark ? "#ffffff" : "#06332b";
    for (const [at, hz, salience] of peaks) {
      pen.beginPath();
      const radius = (1.4 + Math.min(2.4, salience / 16)) * density;
      const up = Math.log(hz / low) / Math.log(high / low);
      pen.arc((at / seconds) * width, height * (1 - up), radius, 0, 2 * Math.PI);
      pen.stroke();
      pen.fill();
    }
  }
}

// Draws the recording's peaks as a picture, which serves as its cover.
export function drawCover(canvas, peaks, seconds) {
  const pen = canvas.getContext("2d");
  const [width, height] = [2 * canvas.clientWidth, 2 * canvas.clientHeight];
  [canvas.width, canvas.height] = [width, height];
  pen.fillStyle = "#0c1b18";
  pen.fillRect(0, 0, width, height);
  const [low, high, edge] = [Math.log(150), Math.log(3800), 0.07];
  const place = ([at, hz]) => [
    width * (edge + (1 - 2 * edge) * (at / seconds)),
    height * (1 - edge - (1 - 2 * edge) * ((Math.log(hz) - low) / (high - low))),
  ];
  for (const peak of peaks) {
    const [x, y] = place(peak);
    const strength = Math.min(1, peak[2] / 40);
    pen.fillStyle = `oklch(${0.6 + 0.35 * strength} ${0.11 - 0.04 * strength} ${175 - 45 * strength})`;
    pen.beginPath();
    pen.arc(x, y, 2 + 6 * strength * strength, 0, 2 * Math.PI);
    pen.fill();
  }
}

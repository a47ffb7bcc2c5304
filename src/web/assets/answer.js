// Shows the answer: the track, the place in it, the certainty, and the offsets as evidence.

import { drawCover } from "./spectrogram.js";
import { certainty, count, position } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [600, 96];

const element = (id) => document.getElementById(id);

export function showAnswer({ answer, agree, histogram }, peaks, seconds) {
  const best = answer.match;
  element("answer-kicker").textContent = "This is";
  element("answer-title").textContent = best.title || best.path;
  element("answer-artist").textContent = best.artist;
  element("answer-position").textContent = position(best.offset_seconds);
  element("answer-confidence").textContent = certainty(best.confidence);
  element("answer-confidence").title = `Score ${count(Math.round(best.score))}`;
  showOffsets(histogram, best, agree);
  element("answer").hidden = false;
  drawCover(element("cover"), peaks, seconds);
}

export function hideAnswer() {
  element("answer").hidden = true;
}

function showOffsets(histogram, best, agree) {
  element("offsets").hidden = !histogram;
  if (!histogram) return;
  const { start, width, counts } = histogram;
  const most = Math.max(...counts);
  const bar = WIDTH / counts.length;
  element("histogram").replaceChildren(...counts.map((votes, index) => {
    const rect = document.createElementNS(SVG, "rect");
    const height = votes ? Math.max(2, (HEIGHT * votes) / most) : 0;
    const box = { x: index * bar, y: HEIGHT - height, width: Math.max(1, bar - 1), height };
    Object.entries(box).forEach(([name, value]) => rect.setAttribute(name, value));
    if (votes === most) rect.setAttribute("class", "peak");
    return rect;
  }));
  element("offsets-start").textContent = position(start);
  element("offsets-end").textContent = position(start + width * counts.length);
  element("offsets-caption").textContent =
    `Where each hash puts the beginning of the recording: ${count(agree)} agree on ${position(best.offset_seconds)}, the others lie where chance puts them.`;
}

// Shows what happened, stage by stage, and what left this machine.

import { count, size, time } from "./words.js";

const STAGES = [
  ["fingerprint", "Fingerprint", "Peaks of the spectrogram are paired to hashes"],
  ["setup", "Track list and hints", "The same for everybody, whatever is asked"],
  ["oprf", "Blinded points", "2,048 points, random to anyone but you"],
  ["encrypt", "Encrypt", "Under a key made for this question only"],
  ["server", "Encrypted numbers", "Random to anyone but you; the server computes on them unread"],
  ["decrypt", "Decrypt", "Only this machine can"],
  ["vote", "Vote", "Do the hashes that were found agree on one place of one track?"],
];

export class Stages {
  #rows = new Map();
  #sent = [];
  #setup = { up: 0, down: 0, milliseconds: 0 };
  #late = "";

  constructor() {
    document.getElementById("stages").replaceChildren(...STAGES.map(([id, name, what]) => this.#row(id, name, what)));
    document.getElementById("rounds").textContent = "";
    document.getElementById("sent").hidden = false;
  }

  // A query begins. All its stages are still to come.
  asking(round) {
    this.#sent[round] = { up: 0, down: 0 };
    for (const { row } of this.#rows.values()) {
      row.className = "";
      row.querySelector(".tick").textContent = "·";
    }
  }

  fingerprinted({ hashes, milliseconds }) {
    const chosen = Math.min(2048, hashes);
    this.#pass("fingerprint", milliseconds, `${count(hashes)} hashes, of which ${count(chosen)} are asked`);
  }

  passed({ round, stage, milliseconds, sent, received }) {
    if (stage === "setup") {
      // What was fetched for the first query serves all queries, unless the catalogue changes.
      const setup = this.#setup;
      setup.up += sent;
      setup.down += received;
      setup.milliseconds += milliseconds;
      this.#pass(stage, setup.milliseconds, null, setup.up, setup.down);
      return;
    }
    this.#sent[round].up += sent;
    this.#sent[round].down += received;
    this.#pass(stage, milliseconds, null, sent, received);
  }

  voted({ labels, agree, answer }) {
    const outcome = answer.match ? `${count(agree)} of them agree on one place` : "no place has enough of them";
    this.#what("vote", `${count(labels)} labels came back; ${outcome}`);
  }

  // A query was sent later than planned. Says so at once, and keeps it to the end.
  late({ round, seconds }) {
    this.#late += ` Question ${round + 1} was sent ${seconds.toFixed(2)} s late: the answer before it was late, or this machine was busy.`;
    document.getElementById("rounds").textContent = this.#late.trim();
  }

  // Describes queries of the same size together.
  ended() {
    const rounds = this.#sent.filter(({ up }) => up);
    if (!rounds.length) return;
    const sizes = [...new Set(rounds.map(({ up, down }) => `${size(up)} out and ${size(down)} in`))];
    const often = rounds.length === 1 ? "Asked once" : `Asked ${rounds.length} times`;
    document.getElementById("rounds").textContent =
      `${often}: ${sizes.join(", then ")}${rounds.length > 1 ? " each time" : ""}. A song that the server knows, one that it does not, and silence look the same.${this.#late}`;
  }

  #row(id, name, what) {
    const row = document.createElement("li");
    const part = (className, text) => {
      const span = document.createElement("span");
      [span.className, span.textContent] = [className, text];
      row.append(span);
      return span;
    };
    part("tick", "·").ariaHidden = "true";
    part("name", name);
    const bytes = part("bytes", "");
    this.#rows.set(id, { row, bytes, what: part("what", what) });
    return row;
  }

  #pass(stage, milliseconds, what, sent = 0, received = 0) {
    const { row, bytes } = this.#rows.get(stage);
    row.className = sent + received ? "passed leaves" : "passed";
    row.querySelector(".tick").textContent = "✓";
    bytes.textContent = sent + received ? `${size(sent)} out, ${size(received)} in` : "stays here";
    row.title = time(milliseconds);
    if (what) this.#what(stage, what);
  }

  #what(stage, text) {
    this.#rows.get(stage).what.textContent = text;
  }
}

// The page's task: listen or take a file, show the audio as it arrives, and show the answer.

import { hideAnswer, showAnswer } from "./answer.js";
import { remember, showHistory } from "./history.js";
import { openMicrophone } from "./microphone.js";
import { hideProblem, showProblem } from "./problems.js";
import { Session, status } from "./session.js";
import { Spectrogram } from "./spectrogram.js";
import { Stages } from "./stages.js";
import { count } from "./words.js";

const element = (id) => document.getElementById(id);
// The quietest level that moves the halo, in dB relative to full scale.
const QUIETEST = -60;
// How long the microphone may be silent before the page reports it.
const SILENT_SECONDS = 2;

let timetable = [4, 7, 10];
let run = null;
// The last spectrogram, which is redrawn when the theme or the width changes.
let shown = null;

// States: idle, starting, listening (the microphone is on), asking (it is off, and the page waits for the answer).
function enter(state, words) {
  document.body.dataset.state = state;
  element("listen-word").textContent = { listening: "Stop", starting: "One moment", asking: "Asking" }[state] ?? "Listen";
  element("listen").setAttribute("aria-disabled", String(state === "starting" || state === "asking"));
  if (words) say(words);
}

// `unseen` repeats the answer's card for people who cannot see it.
function say(words, unseen = "") {
  if (element("status").textContent === unseen + words) return;
  const span = document.createElement("span");
  [span.className, span.textContent] = ["unseen", unseen];
  element("status").replaceChildren(...(unseen ? [span] : []), words);
}

function sentence({ title, path, artist }) {
  return `This is ${title || path}${artist ? ` by ${artist}` : ""}. `;
}

function style(name, value) {
  element("listen").style.setProperty(name, value);
}

// One recording or file, until all its queries are answered.
class Run {
  microphone = null;
  best = null;
  problem = null;
  ended = 0;
  heard = 0;
  loudest = -120;

  constructor(hello, seconds) {
    this.spectrogram = new Spectrogram(element("spectrogram"), seconds);
    shown = this.spectrogram;
    this.isFile = hello.ask === "file";
    this.session = new Session(hello, {
      columns: (buffer) => this.spectrogram.addColumns(buffer),
      level: (event) => this.hear(event),
      picture: (event) => this.draw(event),
      asking: (event) => this.ask(event),
      fingerprinted: (event) => this.stages.fingerprinted(event),
      late: (event) => this.stages.late(event),
      stage: (event) => this.stages.passed(event),
      recorded: () => this.closeMicrophone(),
      answer: (event) => this.answer(event),
      problem: ({ problem }) => (this.problem = problem),
      end: (inOrder) => this.end(inOrder),
    });
  }

  hear({ seconds, decibels }) {
    this.heard = seconds;
    this.loudest = Math.max(this.loudest, decibels);
    style("--level", Math.max(0, 1 - decibels / QUIETEST).toFixed(3));
    style("--heard", Math.min(1, seconds / timetable.at(-1)).toFixed(3));
    if (seconds > SILENT_SECONDS && this.loudest < QUIETEST) say("Nothing is heard yet. Is the microphone muted?");
    else if (!this.best && document.body.dataset.state === "listening") say("Listening…");
  }

  draw(event) {
    element("picture").hidden = false;
    this.spectrogram.setScale(event);
    this.seconds = event.seconds;
    const [peaks, pairs] = [count(event.peaks.length), count(event.pairs)];
    element("picture-caption").textContent =
      `${peaks} peaks in ${event.seconds.toFixed(1)} s make ${pairs} pairs. This picture stays on this machine.`;
  }

  ask({ round }) {
    this.stages ??= new Stages();
    this.stages.asking(round);
    if (!this.isFile) markAsked(round);
  }

  answer(event) {
    const best = event.answer.match;
    this.stages.voted(event);
    // A later query has heard more. But if it finds nothing, the earlier answer stays.
    if (best && (!this.best || best.score >= this.best.score)) {
      const first = !this.best;
      if (first) element("answer").dataset.round = event.round;
      this.best = best;
      showAnswer(event, this.spectrogram.peaks, this.seconds ?? 1);
      document.title = `${best.title || best.path} · psi-shazam`;
      if (first && !this.isFile) say(`It goes on asking until ${timetable.at(-1)} s, so that nobody sees when it was found.`, sentence(best));
    }
    if (this.stopped) element("answer").dataset.millisecondsAfterRecording = (performance.now() - this.stopped).toFixed(1);
  }

  closeMicrophone() {
    this.stopped ??= performance.now();
    if (!this.microphone) return;
    this.microphone.close();
    this.microphone = null;
    style("--level", 0);
    enter("asking", this.best ? null : "Asking…");
  }

  end(inOrder) {
    this.closeMicrophone();
    this.stages?.ended();
    this.spectrogram.fit();
    if (this !== run) return;
    run = null;
    const problem = this.problem ?? (inOrder ? { kind: "no_match" } : { kind: "no_program" });
    if (this.best) {
      remember(this.best);
      enter("idle");
      say("Press to listen again.", sentence(this.best));
    } else if (this.byUser && !this.stages) {
      enter("idle", "Stopped before anything was asked. Press to listen again.");
    } else {
      showProblem(problem);
      enter("idle", problem.kind === "no_match" ? "No match. Press to listen again." : "No answer. Press to listen again.");
    }
    style("--heard", 0);
  }

  // Before the first query, this drops the recording. After it, the queries continue without the microphone.
  stop() {
    if (!this.microphone) return;
    this.byUser = true;
    this.session.enough();
    this.closeMicrophone();
  }
}

function clear() {
  hideProblem();
  hideAnswer();
  for (const id of ["picture", "sent"]) element(id).hidden = true;
  document.querySelectorAll(".due").forEach((mark) => mark.classList.remove("asked"));
  document.title = "psi-shazam";
}

async function listen() {
  if (run?.microphone) return run.stop();
  if (document.body.dataset.state !== "idle") return undefined;
  clear();
  enter("starting", "Waiting for the microphone. The browser may ask whether this page may use it.");
  try {
    const microphone = await openMicrophone((samples) => run?.microphone === microphone && run.session.send(samples));
    run = new Run({ ask: "record", rate: microphone.rate }, timetable.at(-1));
    run.microphone = microphone;
    enter("listening", "Listening…");
  } catch (problem) {
    showProblem(problem);
    enter("idle", "Nothing was recorded.");
  }
}

function take(file) {
  if (!file || document.body.dataset.state !== "idle") return;
  clear();
  run = new Run({ ask: "file", name: file.name }, 1);
  run.stopped = performance.now();
  enter("asking", `Reading ${file.name}…`);
  // The file may disappear while the page reads it.
  run.session.sendFile(file).catch(() => run?.session.enough());
}

// Puts a mark on the dial for each query.
function markTimetable() {
  const marks = timetable.map((seconds) => {
    const angle = (2 * Math.PI * seconds) / timetable.at(-1);
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    const place = { cx: 100 + 94 * Math.cos(angle), cy: 100 + 94 * Math.sin(angle), r: 5, class: "due" };
    Object.entries(place).forEach(([name, value]) => mark.setAttribute(name, value));
    return mark;
  });
  element("dues").replaceChildren(...marks);
}

function markAsked(round) {
  document.querySelectorAll(".due")[round]?.classList.add("asked");
}

function acceptDrops() {
  const over = (event, shown) => {
    event.preventDefault();
    element("drop").classList.toggle("over", shown);
  };
  addEventListener("dragover", (event) => over(event, true));
  addEventListener("dragleave", (event) => over(event, event.relatedTarget !== null));
  addEventListener("drop", (event) => {
    over(event, false);
    take(event.dataTransfer.files[0]);
  });
}

async function start() {
  enter("idle");
  showHistory();
  markTimetable();
  acceptDrops();
  element("listen").addEventListener("click", listen);
  element("file").addEventListener("change", (event) => {
    take(event.target.files[0]);
    event.target.value = "";
  });
  element("how-open").addEventListener("click", () => element("how").showModal());
  addEventListener("keydown", (event) => event.key === "Escape" && !element("how").open && run?.stop());
  const redraw = () => shown?.draw();
  addEventListener("theme", redraw);
  addEventListener("resize", redraw);
  try {
    const told = await status();
    timetable = told.timetable;
    markTimetable();
    element("server").textContent = told.server
      ? `psi-shazam on this machine asks ${told.server}, which learns that you ask, and not what.`
      : "psi-shazam on this machine asks its own database, the same way as it would ask a server.";
    document.body.dataset.ready = "";
  } catch (problem) {
    showProblem(problem);
  }
}

start();

// The history of this browser. It is stored only in the browser.

import { position } from "./words.js";

const KEY = "heard";
const MOST = 50;

function load() {
  try {
    const heard = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(heard) ? heard : [];
  } catch {
    return [];
  }
}

export function remember({ title, artist, path, offset_seconds: offset }) {
  const entry = { title: title || path, artist, offset, at: Date.now() };
  localStorage.setItem(KEY, JSON.stringify([entry, ...load()].slice(0, MOST)));
  showHistory();
}

export function showHistory() {
  const heard = load();
  document.getElementById("history").hidden = heard.length === 0;
  document.getElementById("history-list").replaceChildren(...heard.map(row));
}

function row({ title, artist, offset, at }) {
  const [item, name, song, rest, time] = ["li", "span", "b", "span", "time"].map((tag) => document.createElement(tag));
  name.className = "name";
  song.textContent = title;
  rest.textContent = `${artist ? ` ${artist}` : ""}, from ${position(offset)}`;
  name.append(song, rest);
  const date = new Date(at);
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  item.append(name, time);
  return item;
}

document.getElementById("history-clear").addEventListener("click", () => {
  localStorage.removeItem(KEY);
  showHistory();
  document.getElementById("listen").focus();
});

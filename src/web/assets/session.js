// One recording or file, over one connection to the program on this machine.

const KEY = "psi-shazam-page";
const PIECE = 1 << 20;
// Most bytes buffered for a slow reader. So the browser never holds the whole file.
const WAITING = 4 * PIECE;

// The page's key comes in its address. It is removed from there, so that it does not appear in screenshots.
export function pageKey() {
  const shown = location.hash.slice(1);
  if (shown) {
    sessionStorage.setItem(KEY, shown);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEY) ?? "";
}

// Asks the program whether the key is right. Throws a problem if it is not.
export async function status() {
  let response;
  try {
    response = await fetch("/status", { method: "POST", headers: { "x-psi-shazam-page": pageKey() } });
  } catch {
    throw { kind: "no_program" };
  }
  const told = await response.json().catch(() => ({ kind: "no_program" }));
  if (!response.ok) throw told;
  return told;
}

export class Session {
  #socket;
  #waiting = [];
  #ended = false;

  // `handlers` has a function for each type of event, `columns` for binary columns, and `end` for the end.
  constructor(hello, handlers) {
    this.#socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/session`);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => {
      this.#socket.send(JSON.stringify({ ...hello, token: pageKey() }));
      this.#waiting.forEach((data) => this.#socket.send(data));
      this.#waiting = [];
    };
    this.#socket.onmessage = ({ data }) => {
      if (typeof data !== "string") return handlers.columns(data);
      const event = JSON.parse(data);
      if (event.type === "done") this.#ended = true;
      handlers[event.type]?.(event);
    };
    this.#socket.onclose = () => handlers.end(this.#ended);
  }

  send(data) {
    if (this.#socket.readyState === WebSocket.CONNECTING) this.#waiting.push(data);
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(data);
  }

  async sendFile(file) {
    for (let start = 0; start < file.size; start += PIECE) {
      const piece = await file.slice(start, start + PIECE).arrayBuffer();
      while (this.#socket.bufferedAmount > WAITING) await new Promise((resolve) => setTimeout(resolve, 20));
      this.send(piece);
    }
    this.enough();
  }

  // Tells the program that nothing more will be sent.
  enough() {
    this.send("enough");
  }
}

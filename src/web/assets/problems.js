// Messages for problems, by kind: what happened, and what to do next.

const seconds = (number) => `${Math.max(1, Math.ceil(number))} s`;

const WORDS = {
  // Problems on this page
  microphone_refused: () => ({
    title: "The microphone is not allowed",
    text: "The browser does not let this page use the microphone. Nothing was recorded.",
    next: "Allow it in the address bar, at the sign left of the address, and press Listen again. Or choose a file.",
  }),
  no_microphone: () => ({
    title: "There is no microphone",
    text: "The browser finds none on this machine.",
    next: "Plug one in and press Listen again, or choose a file.",
  }),
  microphone_taken: () => ({
    title: "The microphone cannot be opened",
    text: "Another program may be using it.",
    next: "Close that program and press Listen again, or choose a file.",
  }),
  insecure_page: () => ({
    title: "No microphone under this address",
    text: "Browsers give the microphone to pages of this machine, or with HTTPS, only.",
    next: "Open the address that psi-shazam web printed. It begins with 127.0.0.1.",
  }),
  no_program: () => ({
    title: "psi-shazam does not run any more",
    text: "This page is only the front of the program, which does not answer.",
    next: "Start psi-shazam web again, and open the address that it prints.",
  }),
  page_key: () => ({
    title: "This address lacks its key",
    text: "Only the address that psi-shazam web printed may ask. It is another one every time that the program starts.",
    next: "Copy the whole address from the terminal, with what follows the # sign.",
  }),
  // Problems with the recording
  no_match: () => ({
    title: "No match",
    text: "The server does not know this recording, or too little of it was heard.",
    next: "Move closer to the music, or wait for a part with less talking over it, and listen again.",
  }),
  no_samples: () => ({
    title: "The microphone gives no sound",
    text: "It is on, but sent nothing.",
    next: "Choose another microphone in the browser's settings, and press Listen again.",
  }),
  silent: () => ({
    title: "Nothing but silence",
    text: "There was no sound in the recording. What was sent for it looks like any other question.",
    next: "Is the microphone muted, or the wrong one chosen? Check it, and listen again.",
  }),
  too_short: (p) => ({
    title: "Too short",
    text: `The recording has ${p.seconds.toFixed(1)} s of sound; at least one second is needed, and ten are better.`,
    next: "Choose a longer one.",
  }),
  featureless: () => ({
    title: "A sound that never changes",
    text: "A steady tone has nothing that it could be recognised by.",
    next: "Listen again while music plays.",
  }),
  not_audio: (p) => ({
    title: "This is no sound file",
    text: "It holds no sound of a format that is known. Nothing of it left this machine.",
    next: "Choose an mp3, m4a, flac, ogg, opus, webm, wav or aiff file.",
    details: { "The decoder says": p.reason },
  }),
  too_large: (p) => ({
    title: "The file is too large",
    text: `Files may have ${p.megabytes} MB here.`,
    next: "Cut ten seconds out of it, or use psi-shazam query, which has no limit.",
  }),
  // Problems with the server
  no_database: (p) => ({
    title: "There is no music to compare with",
    text: "No server was named, and this machine has no database.",
    next: "Run psi-shazam index MUSIC_FOLDER, or start psi-shazam web --server NAME. Then listen again.",
    details: { "Looked for in": p.path },
  }),
  database_busy: (p) => ({
    title: "The database is in use",
    text: "Another psi-shazam has it open, perhaps to index.",
    next: "Wait until it is done; or run psi-shazam serve, then any number can ask at once.",
    details: { Database: p.path },
  }),
  no_server: (p) => ({
    title: "The server does not answer",
    text: `Nobody answers at ${p.server}. Nothing was sent.`,
    next: "Check its name, that it runs, and this machine's network; then listen again.",
    details: { Reason: p.reason },
  }),
  key_changed: (p) => ({
    title: "The server has another key",
    text: `Somebody may be posing as ${p.server}, or its owner replaced the key. Nothing was sent.`,
    next: p.file
      ? "Ask the owner for the new key by another way. If it is this one, remove the server's line from the file below."
      : "Ask the owner for the new key by another way. If it is this one, start psi-shazam web with it as --server-key.",
    details: { "Known key": p.known, "Its key now": p.presented, ...(p.file && { "File of known keys": p.file }) },
  }),
  token_wanted: () => ({
    title: "The server wants a token",
    text: "It answers only those who hold an access token, and psi-shazam web was given none.",
    next: "Ask its owner for one, and start psi-shazam web --token-file FILE.",
  }),
  token_refused: () => ({
    title: "The server does not take the token",
    text: "It is wrong, or was revoked.",
    next: "Ask its owner for a new one, and start psi-shazam web again with it.",
  }),
  busy: (p) => ({
    title: "The server is busy",
    text: "It has too much to do, or this address has asked often.",
    next: `Listen again in ${seconds(p.seconds)}.`,
  }),
  broken: (p) => ({
    title: "The connection broke",
    text: "The server was restarted, or the line is bad.",
    next: "Listen again.",
    details: { Reason: p.reason },
  }),
  page: () => ({
    title: "The page and the program do not understand each other",
    text: "The page may be of another version.",
    next: "Reload it.",
  }),
  other: (p) => ({
    title: "That did not work",
    text: "Something went wrong that has no words of its own.",
    next: "Try again. If it stays, this is what to report:",
    details: { Reason: p.reason },
  }),
};

export function showProblem(problem) {
  const words = (WORDS[problem.kind] ?? WORDS.other)(problem);
  const section = document.getElementById("problem");
  section.dataset.kind = problem.kind;
  document.getElementById("problem-title").textContent = words.title;
  document.getElementById("problem-text").textContent = words.text;
  document.getElementById("problem-next").textContent = words.next;
  const details = Object.entries(words.details ?? {}).filter(([, value]) => value);
  document.getElementById("problem-details").replaceChildren(...details.flatMap(([name, value]) => {
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, text.textContent] = [name, value];
    return [term, text];
  }));
  section.hidden = false;
}

export function hideProblem() {
  document.getElementById("problem").hidden = true;
}

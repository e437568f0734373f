// Camera, microphone and files, in pieces that the program seals as they come. Nothing is kept in the browser: a piece is
// forgotten once it is answered, and waits in memory until then.
const form = document.getElementById("notes");
const told = form.querySelector("[data-told]"), wrong = form.querySelector("[data-wrong]");
const view = document.getElementById("view");
const PIECE_MS = 4_000;
const queue = [];
let sending = false;

function about(name = "") {
  return { "Note-Text": encodeURIComponent(form.elements.note.value), "Note-Audit": encodeURIComponent(form.elements.audit.value), "Note-Name": encodeURIComponent(name) };
}

function put(recording, number, body, last, name, type) {
  return new Promise((done) => { queue.push({ url: `${form.dataset.pieces}${recording}/${number}?last=${last ? 1 : 0}`, body, headers: { ...about(name), "Content-Type": type || "application/octet-stream", Accept: "application/json" }, done }); pump(); });
}

async function pump() {
  if (sending) return;
  sending = true;
  let pause = 250;
  while (queue.length) {
    const one = queue[0];
    try {
      const answer = await fetch(one.url, { method: "POST", body: one.body, headers: one.headers });
      if (answer.ok) { queue.shift(); one.done(true); pause = 250; wrong.classList.add("hidden"); await count(); continue; }
      const said = await answer.json();
      say(`${said.message} ${said.hint}`);
      if (answer.status < 500 && answer.status !== 401) { queue.shift(); one.done(false); continue; }
    } catch { /* the program is being started again: the piece waits here */ }
    await new Promise((go) => setTimeout(go, pause));
    pause = Math.min(pause * 2, 5_000);
  }
  sending = false;
}

function say(words) { wrong.textContent = words; wrong.classList.remove("hidden"); }

async function count() {
  const answer = await fetch(form.dataset.count, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const { recordings, pieces, bytes } = await answer.json();
  told.textContent = `${recordings} · ${pieces} · ${bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`}`;
}

// --- files ---
form.querySelector("[data-file]").addEventListener("change", async (event) => {
  const size = Number(form.dataset.pieceSize);
  for (const file of event.target.files) {
    const recording = crypto.randomUUID();
    const pieces = Math.max(1, Math.ceil(file.size / size));
    for (let n = 1; n <= pieces; n += 1) if (!await put(recording, n, file.slice((n - 1) * size, n * size), n === pieces, file.name, file.type)) break;
  }
  event.target.value = "";
});

// --- camera and microphone ---
const recorders = new Map();
let stream = null, awake = null, began = 0;
const film = form.querySelector("[data-film]"), sound = form.querySelector("[data-sound]"), still = form.querySelector("[data-still]");
const dark = form.querySelector("[data-dark]"), cover = document.querySelector("[data-cover]");

async function open(video) {
  const wanted = { audio: true, video: video && { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } } };
  return navigator.mediaDevices.getUserMedia(wanted).catch(() => navigator.mediaDevices.getUserMedia({ ...wanted, audio: !video }));
}

const SECOND_TAP_MS = 800;
async function toggle(button, video) {
  const running = recorders.get(button);
  if (running) { if (Date.now() - running.began > SECOND_TAP_MS) running.stop(); return; }
  if (button.disabled) return;
  button.disabled = true;  // until the camera is there: a second tap would begin another that no button ends
  try { stream = await open(video); } catch { button.hidden = true; return; } finally { button.disabled = false; }
  if (video) { view.srcObject = stream; view.classList.remove("hidden"); view.play(); }
  const type = (video ? ["video/webm;codecs=vp9,opus", "video/webm;codecs=vp8,opus", "video/webm", "video/mp4"] : ["audio/webm;codecs=opus", "audio/webm", "audio/mp4"]).find((one) => MediaRecorder.isTypeSupported(one));
  const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 4_000_000 });
  const recording = crypto.randomUUID(), plain = type.split(";")[0];
  let number = 0, held = null;
  const mine = stream;
  recorder.addEventListener("dataavailable", ({ data }) => {  // a piece that was on its way when it was stopped is not the last one
    const before = recorder.state === "inactive" ? held : data;
    if (recorder.state === "inactive") held = data;
    if (before?.size) put(recording, ++number, before, false, "", plain);
  });
  recorder.addEventListener("stop", () => {
    put(recording, ++number, held ?? new Blob([], { type: plain }), true, "", plain);
    recorders.delete(button); button.classList.remove("on"); awake?.release(); awake = null;
    for (const track of mine.getTracks()) track.stop();
    view.classList.add("hidden");
  });
  recorder.began = began = Date.now();
  recorders.set(button, recorder);
  button.classList.add("on");
  recorder.start(PIECE_MS);
  awake = await navigator.wakeLock?.request("screen").catch(() => null);
}

if ("mediaDevices" in navigator && "MediaRecorder" in window) {
  for (const one of [film, sound, still, dark]) one.hidden = false;
  film.addEventListener("click", () => toggle(film, true));
  sound.addEventListener("click", () => toggle(sound, false));
  still.addEventListener("click", async () => {
    const mine = stream?.active && stream.getVideoTracks().length ? null : await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 4096 } } }).catch(() => null);
    if (mine) { view.srcObject = mine; await view.play(); }
    if (!view.videoWidth) return;
    const canvas = Object.assign(document.createElement("canvas"), { width: view.videoWidth, height: view.videoHeight });
    canvas.getContext("2d").drawImage(view, 0, 0);
    if (mine) for (const track of mine.getTracks()) track.stop();
    canvas.toBlob((blob) => blob && put(crypto.randomUUID(), 1, blob, true, "", "image/jpeg"), "image/jpeg", 0.95);
  });
  dark.addEventListener("click", () => cover.classList.remove("hidden"));
  cover.addEventListener("dblclick", () => cover.classList.add("hidden"));
  setInterval(() => { if (recorders.size) film.querySelector("[data-time]").textContent = new Date(Date.now() - began).toISOString().slice(14, 19); }, 500);
}

addEventListener("beforeunload", (event) => { if (queue.length || recorders.size) event.preventDefault(); });

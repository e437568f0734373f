// What makes the tablet's pages quicker; every page works without it.
//   [data-pad]         the PIN pad: digits, erase, the pause after wrong PINs
//   [data-watch=url]   looks how far the background is: [data-bar], [data-phase], [data-chip], [data-line]; data-after: goes there when done
//   [data-scan=url]    looks for a QR code through the camera or in a photo, fills the form [data-scan-into] with what the address answers, sends it
//   [data-fill=url]    is filled with a piece of a page that takes a moment
//   form[data-live]    shows results while somebody types
//   [data-send]        a chosen file is sent at once; [data-named] shows its name
//   form[data-once]    what it brings is a file: a second tap within two seconds does nothing
//   [data-near], [data-locate]   asks the device where it is
const by = (selector, under = document) => [...under.querySelectorAll(selector)];

// --- while the program is away no page is left for one of the browser's own, which would be a dead end: what was tapped waits ---
const away = document.querySelector("[data-away]");
let held = null;

function there() {
  const ask = new XMLHttpRequest();
  ask.open("HEAD", `${import.meta.url}&at=${Date.now()}`, false);  // an address of its own: the browser keeps this file for a year
  try { ask.send(); } catch { return false; }
  return true;
}

async function hold(go) {
  const first = held === null;
  held ||= go;
  if (away) away.hidden = false;
  if (!first) return;
  for (let pause = 300; ; pause = Math.min(pause * 1.5, 2_000)) {
    await new Promise((again) => setTimeout(again, pause));
    try { await fetch(import.meta.url, { method: "HEAD", cache: "no-store" }); break; } catch { /* not yet */ }
  }
  if (away) away.hidden = true;
  await opened();
  const then = held;
  held = null;
  then();
}

// A tablet that was locked meanwhile is unlocked on the page itself: photos that were just taken are in this window only.
const ask = document.querySelector("[data-unlock]");
let asking = null;
const opened = () => (asking ||= unlocked().finally(() => { asking = null; }));

async function unlocked() {
  const chip = document.getElementById("sync-chip");
  if (!ask || !chip || (await fetch(chip.dataset.watch, { headers: { Accept: "application/json" } }).catch(() => null))?.status !== 401) return;
  const field = ask.querySelector("input"), refused = ask.querySelector("[data-refused]");
  if (!ask.open) ask.showModal();
  await new Promise((go) => ask.querySelector("form").addEventListener("submit", async function tried(event) {
    event.preventDefault();
    const answer = await fetch(ask.dataset.unlock, { method: "POST", body: new URLSearchParams({ pin: field.value }), headers: { Accept: "application/json" } }).catch(() => null);
    field.value = "";
    if (answer?.ok && !answer.redirected) { this.removeEventListener("submit", tried); refused.hidden = true; ask.close(); go(); return; }
    const told = answer && !answer.redirected ? await answer.json() : null;
    refused.textContent = told ? `${told.message} ${told.hint}` : "…";
    refused.hidden = false;
  }));
}
// Whether something is in this window that a reload would lose; other scripts say so by refusing to leave.
function leaves() {
  return !by("input[type=file]").some((one) => one.files.length) && document.dispatchEvent(new Event("leave", { cancelable: true }));
}
document.addEventListener("locked", () => opened().then(() => document.dispatchEvent(new Event("unlocked"))));

addEventListener("submit", (event) => {
  const form = event.target, button = event.submitter;
  if (form.matches("[data-save], [data-live], [method=dialog]") || there()) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  hold(() => form.requestSubmit(button));
}, true);
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || link.target || link.origin !== location.origin) return;
  if (link.hash && link.pathname + link.search === location.pathname + location.search) return;
  if (there()) return;
  event.preventDefault();
  hold(() => location.assign(link.href));
});

for (const pad of by("[data-pad]")) {
  const field = pad.elements.pin;
  const press = (change) => { change(); field.focus({ preventScroll: true }); };
  for (const key of by("[data-digit]", pad)) key.addEventListener("click", () => press(() => { field.value += key.dataset.digit; }));
  for (const key of by("[data-erase]", pad)) key.addEventListener("click", () => press(() => { field.value = field.value.slice(0, -1); }));
  for (const key of by("[data-letters]", pad)) key.addEventListener("click", () => { field.inputMode = "text"; field.blur(); field.focus(); });
  let left = Number(pad.dataset.wait);
  const told = pad.querySelector("[data-countdown]");
  const send = pad.querySelector(".pad .primary");
  const tick = () => {
    send.disabled = left > 0;
    told.hidden = left <= 0;
    told.textContent = told.textContent.replace(/\d+/, String(Math.max(left, 0)));
    if (left-- > 0) setTimeout(tick, 1000);
  };
  if (left > 0) tick();
}

for (const clock of by("[data-clock]")) {
  const show = () => { clock.textContent = new Date().toLocaleString(document.documentElement.lang, { weekday: "long", month: "long", day: "numeric", hour: "2-digit", minute: "2-digit", timeZone: "Asia/Shanghai" }); };
  show();
  setInterval(() => { if (!document.hidden) show(); }, 10_000);
}

for (const input of by("input[data-named]")) input.addEventListener("change", () => { if (input.files.length) input.closest("label").querySelector("[data-chosen]").textContent = input.files[0].name; });
for (const form of by("form[data-once]")) form.addEventListener("submit", (event) => {  // what comes is a file, and the page stays: a second tap would make the first file void
  if (form.dataset.just) { event.preventDefault(); return; }
  form.dataset.just = "1";
  setTimeout(() => { delete form.dataset.just; }, 2_000);
});
for (const input of by("input[data-send]")) input.addEventListener("change", () => { if (input.files.length) input.form.requestSubmit(); });
for (const link of by("[data-back]")) { link.hidden = history.length < 2; link.addEventListener("click", (event) => { event.preventDefault(); if (there()) history.back(); else hold(() => history.back()); }); }

for (const place of by("[data-fill]")) fetch(place.dataset.fill, { headers: { Accept: "text/html" } }).then(async (answer) => { if (answer.ok && !answer.redirected) place.innerHTML = await answer.text(); }).catch(() => {});

// --- how far the background is: often while it works, seldom while it rests, not at all while nobody looks ---
const PAUSES = { running: 1_000, waiting: 15_000 };
const watchers = by("[data-watch]");
if (watchers.length) {
  let timer, looking = false;
  const look = async () => {
    clearTimeout(timer);
    if (looking || document.hidden) return;
    looking = true;
    let pause = 15_000;
    try {
      const answer = await fetch(watchers[0].dataset.watch, { headers: { Accept: "application/json" } });
      if (answer.status === 401 && held === null && leaves()) { location.reload(); return; }  // a tap that waits is done after the PIN, on this page
      if (answer.status === 401) { await opened(); looking = false; timer = setTimeout(look, 1_000); return; }
      const told = await answer.json();
      if (away && held === null) away.hidden = true;
      for (const one of watchers) show(one, told);
      pause = PAUSES[told.state] || 60_000;
    } catch { if (away) away.hidden = false; }
    looking = false;
    timer = setTimeout(look, pause);
  };
  document.addEventListener("visibilitychange", look);
  look();
}

function show(one, told) {
  one.dataset.state = told.state === "running" ? "running" : told.problem ? "wrong" : told.waiting === 0 ? "sent" : told.state;
  const chip = one.querySelector("[data-chip]");
  if (chip) chip.textContent = told.words;
  const bar = one.querySelector("[data-bar]");
  if (bar) { if (told.total) { bar.max = told.total; bar.value = told.done; } else if (told.state !== "running" && told.complete) { bar.max = 1; bar.value = 1; } else bar.removeAttribute("value"); }
  const phase = one.querySelector("[data-phase]");
  if (phase) phase.textContent = told.phase ? told.phase + (told.total ? ` ${told.done} / ${told.total}` : "") : told.problem ? `${told.problem} ${told.hint}` : told.words;
  const line = one.querySelector("[data-line]");
  if (line) line.textContent = told.line;
  if (one.dataset.after && told.complete && told.state !== "running") location.replace(one.dataset.after);
  const place = one.dataset.refresh && document.querySelector(one.dataset.refresh);
  const now = `${told.rounds} ${told.waiting} ${told.done} ${told.phase}`;
  if (place && one.dataset.seen !== undefined && one.dataset.seen !== now) refresh(place, one.dataset.piece);
  one.dataset.seen = now;
}

// Takes a piece of a page in anew, unless somebody is just pressing something in it.
async function refresh(place, address) {
  if (place.querySelector(":active, [data-sent]")) return;
  const answer = await fetch(address, { headers: { Accept: "text/html" } }).catch(() => null);
  if (answer?.ok && !answer.redirected) place.innerHTML = await answer.text();
}

// --- a QR code, out of a photo or of stills of the camera until one fits; what it says is filled in and sent ---
for (const button of by("[data-scan]")) {
  const box = button.form, view = box.querySelector("[data-scan-view]"), said = box.querySelector("[data-scan-said]"), into = document.getElementById(button.dataset.scanInto);
  const words = button.querySelector("span"), start = words.textContent, file = box.elements.picture;
  let stream = null;
  const tell = (text) => { said.textContent = text; said.classList.toggle("hidden", !text); };
  const stop = () => {
    for (const track of stream?.getTracks() || []) track.stop();
    stream = null;
    view.classList.add("hidden");
    words.textContent = start;
    tell("");
  };
  const read = async (picture, wanted) => {
    const body = new FormData();
    body.set("picture", picture, "picture.jpg");
    const answer = await fetch(button.dataset.scan, { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
    if (!wanted()) return true;
    if (answer?.status === 401) { location.reload(); return true; }
    const told = await answer?.json().catch(() => null);
    if (!answer?.ok || !told) { tell(told?.detail || told?.message || ""); return false; }
    stop();
    for (const [name, value] of Object.entries(told)) if (into.elements[name]) into.elements[name].value = value;
    into.requestSubmit();
    return true;
  };
  file.addEventListener("change", async () => { stop(); if (file.files.length) await read(file.files[0], () => true); file.value = ""; });
  if (!navigator.mediaDevices?.getUserMedia) continue;
  button.hidden = false;
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); });
  button.addEventListener("click", async () => {
    if (stream) { stop(); return; }
    try { stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } }); } catch { button.hidden = true; return; }
    const mine = stream, canvas = document.createElement("canvas");
    view.srcObject = stream;
    view.classList.remove("hidden");
    words.textContent = button.dataset.stop;
    box.scrollIntoView({ block: "start" });
    await view.play();
    while (stream === mine) {
      [canvas.width, canvas.height] = [view.videoWidth, view.videoHeight];
      canvas.getContext("2d").drawImage(view, 0, 0);
      const still = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
      if (await read(still, () => stream === mine)) return;
      await new Promise((go) => setTimeout(go, 700));
    }
  });
}

// --- results while somebody types ---
for (const form of by("form[data-live]")) {
  const place = document.querySelector(form.dataset.live);
  let asked = 0, timer;
  const ask = async (extra = {}) => {
    const mine = ++asked;
    const words = new URLSearchParams({ ...Object.fromEntries(new FormData(form)), ...extra });
    history.replaceState(null, "", `${form.action}?${words}`);
    words.set("piece", "1");
    const answer = await fetch(`${form.action}?${words}`, { headers: { Accept: "text/html" } }).catch(() => null);
    if (mine !== asked || !answer?.ok || answer.redirected) return;
    place.innerHTML = await answer.text();
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 120);
    history.replaceState(null, "", `${form.action}?${new URLSearchParams(new FormData(form))}`);
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  const near = form.querySelector("[data-near]");
  if (near && "geolocation" in navigator) {
    near.hidden = false;
    near.addEventListener("click", () => navigator.geolocation.getCurrentPosition(
      ({ coords }) => { form.elements.q.value = ""; ask({ lat: coords.latitude, lon: coords.longitude }); near.removeAttribute("aria-busy"); },
      () => { near.hidden = true; }, { enableHighAccuracy: true, timeout: 10_000, maximumAge: 60_000 }));
  }
}

// --- a new site: where it is, and what it looks like ---
for (const form of by("form[data-alike]")) {
  const place = document.getElementById("alike");
  let timer;
  const ask = async () => {
    const answer = await fetch(`${form.dataset.alike}?${new URLSearchParams({ name: form.elements.name.value, address: form.elements.address.value })}`).catch(() => null);
    if (answer?.ok && !answer.redirected) place.innerHTML = await answer.text();
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 250); });
  const locate = form.querySelector("[data-locate]");
  if (locate && "geolocation" in navigator) {
    locate.hidden = false;
    locate.addEventListener("click", () => navigator.geolocation.getCurrentPosition(({ coords }) => {
      form.elements.lat.value = coords.latitude; form.elements.lon.value = coords.longitude; form.elements.acc.value = Math.round(coords.accuracy * 100);
      locate.classList.add("primary");
      locate.querySelector("span").textContent = `${coords.latitude.toFixed(5)}, ${coords.longitude.toFixed(5)} ±${Math.round(coords.accuracy)} m`;
    }, () => { locate.disabled = true; }, { enableHighAccuracy: true, timeout: 15_000 }));
  }
}

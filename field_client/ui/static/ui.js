// What makes the tablet's pages quicker; every page works without it.
//   [data-pad]         the PIN pad: digits, erase, the pause after wrong PINs
//   [data-watch=url]   looks how far the background is: [data-bar], [data-phase], [data-chip], [data-line]; data-after: goes there when done
//   [data-scan=url]    looks for a QR code through the camera or in a photo, fills the form [data-scan-into] with what the address answers, sends it
//   [data-fill=url]    is filled with a piece of a page that takes a moment
//   form[data-live]    shows results while somebody types
//   [data-send]        a chosen file is sent at once
//   [data-near], [data-locate]   asks the device where it is
const by = (selector, under = document) => [...under.querySelectorAll(selector)];

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

for (const input of by("input[data-send]")) input.addEventListener("change", () => { if (input.files.length) input.form.requestSubmit(); });
for (const link of by("[data-back]")) { link.hidden = history.length < 2; link.addEventListener("click", (event) => { event.preventDefault(); history.back(); }); }

for (const place of by("[data-fill]")) fetch(place.dataset.fill, { headers: { Accept: "text/html" } }).then(async (answer) => { if (answer.ok && !answer.redirected) place.innerHTML = await answer.text(); });

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
      if (answer.status === 401) { location.reload(); return; }
      const told = await answer.json();
      for (const one of watchers) show(one, told);
      pause = PAUSES[told.state] || 60_000;
    } catch { /* the program is being started again */ }
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
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (answer.ok && !answer.redirected) place.innerHTML = await answer.text();
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
    const shown = new URLSearchParams(words);
    words.set("piece", "1");
    const answer = await fetch(`${form.action}?${words}`, { headers: { Accept: "text/html" } });
    if (mine !== asked || !answer.ok || answer.redirected) return;
    place.innerHTML = await answer.text();
    history.replaceState(null, "", `${form.action}?${shown}`);
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
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
    const answer = await fetch(`${form.dataset.alike}?${new URLSearchParams({ name: form.elements.name.value, address: form.elements.address.value })}`);
    if (answer.ok && !answer.redirected) place.innerHTML = await answer.text();
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

// What makes a visit quick; every page works without it.
//   form[data-save]          each tap and each field left is saved at once, and says so once it is
//   form[data-take]          chosen photos are sent one after the other, shown at once, "saved" once they are
//   event "take" on document the same for a photo of the page's own camera: { blob, name }
//   [data-reason], [data-phrase], [data-fill]   words to tap instead of typing
const zh = document.documentElement.lang.startsWith("zh");
const say = zh
  ? { saving: "保存中……", saved: "已保存", unsaved: "未保存，正在重试", refused: "未保存", mine: "仍用我的" }
  : { saving: "Saving …", saved: "Saved", unsaved: "Not saved, trying again", refused: "Not saved", mine: "Take mine" };
const JSON_ONLY = { Accept: "application/json" };
const wait = (ms) => new Promise((go) => setTimeout(go, ms));
const by = (selector, under = document) => [...under.querySelectorAll(selector)];
const typing = (one) => one?.matches?.("textarea, input:not([type=radio], [type=checkbox], [type=file], [type=date], [type=time])");

// The tablet was locked meanwhile: ui.js asks for the PIN on this page.
function unlocked() {
  return new Promise((go) => {
    document.addEventListener("unlocked", go, { once: true });
    document.dispatchEvent(new Event("locked"));
  });
}

// --- saving ---------------------------------------------------------------------------------------------------
const states = new WeakMap();
// What is answered while the next page is on its way may be newer than that page: it stays in the memory, and is sent once more.
let leaving = false;
addEventListener("beforeunload", () => { leaving = true; });
addEventListener("input", () => { leaving = false; });

function mark(form, words, kind) {
  const place = form.querySelector("[data-saved]") || form.closest("[data-item]")?.querySelector("[data-saved]");
  if (!place) return;
  place.textContent = words;
  place.dataset.kind = kind;
}

async function save(form, submitter) {
  const state = states.get(form) || {};
  states.set(form, state);
  if (state.busy) { state.again = true; state.submitter = submitter; return; }
  state.busy = true;
  clearTimeout(state.timer);
  mark(form, say.saving, "busy");
  let answer, body, pause = 250;
  for (;;) {
    state.again = false;
    body = new URLSearchParams(new FormData(form));
    if (submitter?.name) body.set(submitter.name, submitter.value);
    try {
      answer = await fetch(form.action, { method: "POST", body, headers: JSON_ONLY });
      if (answer.status !== 401) break;
      sessionStorage.setItem(`unsent:${form.action}`, body.toString());
      mark(form, say.unsaved, "bad");
      await unlocked();
    } catch {  // the program is being started again: what was tapped waits here, and in the window's memory for a reload
      sessionStorage.setItem(`unsent:${form.action}`, body.toString());
      mark(form, say.unsaved, "bad");
      await wait(pause);
      pause = Math.min(pause * 2, 3_000);
    }
  }
  if (!leaving) sessionStorage.removeItem(`unsent:${form.action}`);
  const told = await answer.json();
  state.busy = false;
  if (told.base !== undefined && (answer.ok || !told.html)) form.elements.base.value = told.base;
  if (state.again) { save(form, state.submitter); return; }
  mark(form, answer.ok ? say.saved : told.words || `${told.message} ${told.hint}`, answer.ok ? "ok" : "bad");
  if (told.html) place(form, told);
  else if (answer.status === 409 && told.base !== undefined) offer(form);
  const warned = form.querySelector("[data-warned]");
  if (warned && told.warned !== undefined) { warned.hidden = !told.warned; warned.querySelector("span").textContent = told.warned; }
}

// The item as the program sees it now; not under the fingers of somebody who is typing in it.
function place(form, told) {
  const card = form.closest("[data-item]");
  if (!card) return;
  progress(told);
  const active = document.activeElement;
  if (card.contains(active) && typing(active) && !told.html.includes('class="notice')) {
    card.addEventListener("focusout", () => setTimeout(() => { if (card.isConnected && !states.get(form)?.busy && !card.contains(document.activeElement)) swap(card, told.html, null); }), { once: true });
    return;
  }
  swap(card, told.html, card.contains(active) ? active : null);
}

function swap(card, html, active) {
  const fresh = document.createRange().createContextualFragment(html).firstElementChild;
  const open = [...card.querySelectorAll("details")].map((one) => one.open);
  card.replaceWith(fresh);
  fresh.querySelectorAll("details").forEach((one, at) => { one.open = open[at] || false; });
  if (active?.name) {
    const same = by(`[name="${active.name}"]`, fresh).find((one) => one.type !== "hidden" && (one.value === active.value || typing(one)));
    same?.focus({ preventScroll: true });
  }
}

function progress(told) {
  const bar = document.querySelector("[data-progress]");
  if (bar && told.group) {
    bar.querySelector("progress").value = told.group.answered;
    bar.querySelector("span").textContent = `${told.group.answered} / ${told.group.total}`;
    const far = document.querySelector(".groups [aria-current] [data-far]");
    if (far && told.group.lacking) { far.textContent = `${told.group.answered}/${told.group.total}`; far.classList.remove("done"); }
    else if (far) { far.textContent = "✓"; far.classList.add("done"); }
  }
  const next = document.querySelector("[data-following]");
  if (next && told.following) {
    next.href = next.href.replace(/\/items\/[^/#]+#.*$/, `/items/${told.following[0]}#${told.following[1]}`);
    next.querySelector("span").lastChild.textContent = next.querySelector("span").textContent.replace(/\S+$/, told.following[1]);
  } else if (next && told.following === null) next.hidden = true;
}

function offer(form) {
  if (form.querySelector("[data-mine]")) return;
  const button = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: say.mine });
  button.dataset.mine = "";
  button.addEventListener("click", () => { button.remove(); save(form); });
  form.append(button);
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-save]")) return;
  event.preventDefault();
  save(event.target, event.submitter);
});
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form?.matches("form[data-save]")) return;
  if (event.target.name === "measured" || event.target.name === "cell" || event.target.name === "row") unless(form);
  save(form);
});
document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (!form?.matches("form[data-save]") || !typing(event.target)) return;
  const state = states.get(form) || {};
  states.set(form, state);
  clearTimeout(state.timer);
  mark(form, "…", "busy");
  sessionStorage.setItem(`unsent:${form.action}`, new URLSearchParams(new FormData(form)).toString());
  state.timer = setTimeout(() => save(form), 900);
});
function unless(form) {  // who measures something does not mean that it does not apply
  const na = form.querySelector("input[name=answer][value=na]");
  if (na?.checked) na.checked = false;
}
// What a killed program or a locked tablet did not take in is sent once more.
for (const form of by("form[data-save]")) {
  const left = sessionStorage.getItem(`unsent:${form.action}`);
  if (left === null) continue;
  const said = new URLSearchParams(left);
  for (const one of form.elements) {
    if (!one.name || one.name === "base" || one.type === "submit") continue;
    if (one.type === "radio" || one.type === "checkbox") one.checked = said.getAll(one.name).includes(one.value);
    else if (said.has(one.name) && one.name !== "cell") one.value = said.get(one.name);
  }
  save(form);
}

// --- words to tap ---------------------------------------------------------------------------------------------
document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-reason], [data-phrase], [data-fill], [data-add-row], [data-drop-tried]");
  if (!chip) return;
  if (chip.dataset.reason !== undefined) {
    const field = chip.closest(".why").querySelector("textarea");
    const parts = field.value.split("；").map((one) => one.trim()).filter(Boolean);
    const at = parts.indexOf(chip.dataset.reason);
    if (at >= 0) parts.splice(at, 1); else parts.push(chip.dataset.reason);
    field.value = parts.join("；");
    chip.classList.toggle("on", at < 0);
    save(field.form);
  } else if (chip.dataset.phrase !== undefined) {
    const field = chip.closest("form").querySelector("textarea");
    field.value = [field.value.trim(), chip.dataset.phrase].filter(Boolean).join("；");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  } else if (chip.dataset.fill !== undefined) {
    document.getElementById(chip.dataset.fill).value = chip.dataset.words;
  } else if (chip.dataset.addRow !== undefined) {
    const rows = chip.parentElement.querySelector("[data-rows]");
    const fresh = rows.lastElementChild.cloneNode(true);
    for (const cell of fresh.querySelectorAll("input")) cell.value = "";
    rows.append(fresh);
    fresh.querySelector("input").focus();
  } else chip.closest(".tried").remove();
});

// --- photos ---------------------------------------------------------------------------------------------------
const queue = [];
let sending = false, where = null;

function enqueue(file, form, name = file.name) {
  const card = form.closest("[data-item]");
  const list = card ? strip(card) : document.querySelector("[data-taken], #photos");
  const li = document.createElement("li");
  const shown = document.createElement("a");
  shown.className = "photo sending";
  if (file.type.startsWith("image/")) {
    const image = Object.assign(document.createElement("img"), { src: URL.createObjectURL(file), alt: "" });
    image.addEventListener("error", () => image.remove());
    shown.append(image);
  }
  const badge = Object.assign(document.createElement("span"), { className: "badge wait", textContent: say.saving });
  badge.setAttribute("role", "status");
  shown.append(badge);
  li.append(shown);
  list?.append(li);
  document.querySelector("[data-none]")?.remove();
  queue.push({ file, name, form, card: card?.id, shown, badge });
  pump();
}

function strip(card) {
  const found = card.querySelector(".strip");
  if (found) return found;
  const made = Object.assign(document.createElement("ul"), { className: "strip" });
  card.querySelector(".item-foot").prepend(made);
  return made;
}

async function pump() {
  if (sending) return;
  sending = true;
  while (queue.length) {
    await send(queue[0]);
    queue.shift();
  }
  sending = false;
}

async function send(one) {
  const body = new FormData(one.form);
  body.delete("file");
  body.append("file", one.file, one.name);
  if (where) for (const [name, value] of Object.entries(where)) body.set(name, value);
  let answer, pause = 250;
  for (;;) {
    try { answer = await fetch(one.form.action, { method: "POST", body, headers: JSON_ONLY }); } catch { answer = null; }
    if (answer && ![401, 503, 507].includes(answer.status)) break;
    if (answer?.status === 507 && !one.full) {  // it stays in this window until there is room
      one.full = true;
      const { message, hint } = await answer.json();
      tell(one, `${message} ${hint}`);
    }
    if (answer?.status === 401) { await unlocked(); continue; }
    one.badge.textContent = say.unsaved;
    await wait(pause);
    pause = Math.min(pause * 2, 3_000);
  }
  const told = await answer.json();
  if (!answer.ok) {
    one.badge.textContent = say.refused;
    one.badge.className = "badge late";
    tell(one, `${told.message} ${told.hint}`);
    return;
  }
  one.shown.classList.remove("sending");
  one.shown.href = told.view;
  one.badge.textContent = say.saved;
  one.badge.className = "badge ok";
  for (const words of told.words) tell(one, words);
  try {
    const made = await (await fetch(`/evidence/${told.evidence}/pictures`, { method: "POST", headers: JSON_ONLY })).json();
    for (const words of made.words || []) tell(one, words);
    if (made.alike) alike(one, made.alike);
    else if (one.card) await refresh(one);
  } catch { /* owed: the next round makes them */ }
}

function beside(one) { return document.getElementById(one.card || "") || document.querySelector("[data-alike]") || one.shown.closest("section, .card") || document.querySelector("main"); }

function tell(one, words) {
  const place = Object.assign(document.createElement("p"), { className: "notice warn", textContent: words.includes(one.name) ? words : `${one.name}：${words}` });
  place.setAttribute("role", "alert");
  beside(one).append(place);
}

function alike(one, html) {
  const piece = document.createRange().createContextualFragment(html);
  for (const back of piece.querySelectorAll("[data-here]")) back.value = location.pathname + location.search + (one.card ? `#${one.card}` : "");
  beside(one).append(piece);
}

async function refresh(one) {
  const card = document.getElementById(one.card);
  const form = card?.querySelector("form[data-save]");
  if (!form || queue.some((other) => other !== one && other.card === one.card) || card.contains(document.activeElement) && typing(document.activeElement)) return;
  const answer = await fetch(`${form.getAttribute("action")}/piece`, { headers: JSON_ONLY });
  if (answer.ok && !states.get(form)?.busy) place(form, await answer.json());
}

document.addEventListener("change", (event) => {
  const input = event.target;
  if (!input.matches("form[data-take] [data-pick]")) return;
  for (const file of input.files) enqueue(file, input.form);
  locate();
  input.value = "";
});
document.addEventListener("take", (event) => enqueue(event.detail.blob, event.detail.form, event.detail.name));
document.addEventListener("leave", (event) => { if (queue.length) event.preventDefault(); });
addEventListener("beforeunload", (event) => { if (queue.length) event.preventDefault(); });

async function locate(ask = false) {
  if (!("geolocation" in navigator)) return;
  const allowed = await navigator.permissions?.query({ name: "geolocation" }).catch(() => null);
  if (!ask && allowed?.state !== "granted") return;
  navigator.geolocation.getCurrentPosition(({ coords }) => {
    where = { lat: coords.latitude, lon: coords.longitude, acc: Math.round(coords.accuracy * 100) };
  }, () => {}, { enableHighAccuracy: true, timeout: 10_000, maximumAge: 60_000 });
}
locate();

// --- pictures that are still owed, one after the other ---
(async () => {
  for (const image of by("img[data-owing]")) {
    try {
      await fetch(image.dataset.owing, { method: "POST", headers: JSON_ONLY });
      image.src = `${image.src.split("?")[0]}?again=1`;
    } catch { return; }
  }
})();

// --- a patrol note: where, and what was chosen ---
for (const input of by("[data-count]")) input.addEventListener("change", () => {
  const words = input.closest("label").querySelector("[data-chosen]");
  words.textContent = `${words.textContent.replace(/ \d+$/, "")} ${input.files.length}`;
  const list = input.form.querySelector("[data-previews]");
  list.replaceChildren(...[...input.files].filter((one) => one.type.startsWith("image/")).map((one) => {
    const li = document.createElement("li"), box = document.createElement("span");
    box.className = "photo";
    box.append(Object.assign(document.createElement("img"), { src: URL.createObjectURL(one), alt: one.name }));
    li.append(box);
    return li;
  }));
});
for (const button of by("form:not([data-alike]) > .buttons > [data-locate]")) {
  if (!("geolocation" in navigator)) continue;
  button.hidden = false;
  button.addEventListener("click", () => navigator.geolocation.getCurrentPosition(({ coords }) => {
    const form = button.closest("form");
    form.elements.lat.value = coords.latitude; form.elements.lon.value = coords.longitude; form.elements.acc.value = Math.round(coords.accuracy * 100);
    button.querySelector("span").textContent = `${coords.latitude.toFixed(5)}, ${coords.longitude.toFixed(5)} ±${Math.round(coords.accuracy)} m`;
  }, () => { button.disabled = true; }, { enableHighAccuracy: true, timeout: 15_000 }));
}
document.querySelector(".groups [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

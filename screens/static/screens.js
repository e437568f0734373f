// Makes plain pages quicker; every page works without it.
//   form[data-keep="name"]   what was typed survives a reload and an ended session, until the server says that it has it;
//                            a hidden field with data-own, the id of what the form makes, survives with it
//   form[data-slow="text"]   says that work is going on
//   form[data-auto]          is sent when a choice changes
//   [data-open="id"], [data-close]   open and close a <dialog>
//   [data-key="g h"]         keyboard: focuses or presses the element
//   [data-copy="text"]       copies
// A page that answers a post has no address of its own: going back to it would be a dead end of the browser's. It takes that of
// the page with the form (<meta name="posted">), under which what is typed is kept too.
const posted = document.querySelector("meta[name=posted]");
if (posted) history.replaceState(null, "", posted.content);

const saved = (form) => `keep:${location.pathname}:${form.dataset.keep}`;

// What was sent is still kept until a page says that it was taken (<meta name="kept">). The page of the same form, which says
// what is wrong, leaves it waiting for the next answer; any other page, one that asks for a PIN for instance, keeps it typed.
const SENT = "sent";
const waiting = () => JSON.parse(sessionStorage.getItem(SENT) || "[]");
const forms = [...document.querySelectorAll("form[data-keep]")];
if (document.querySelector("meta[name=kept]")) {
  for (const key of waiting()) sessionStorage.removeItem(key);
  sessionStorage.removeItem(SENT);
} else if (!forms.some((form) => waiting().some((key) => key.endsWith(`:${form.dataset.keep}`)))) sessionStorage.removeItem(SENT);

// Neither secrets nor what the page itself says: a window's memory may end on a disk.
const keeps = (one) => one.name && (one.type === "hidden" ? one.dataset.own !== undefined : !["file", "password", "submit"].includes(one.type));

function typed(form) {
  const names = new Set([...form.elements].filter(keeps).map((one) => one.name));
  return [...new FormData(form)].filter(([name, value]) => typeof value === "string" && names.has(name));
}

function restore(form) {
  const kept = sessionStorage.getItem(saved(form));
  if (kept === null || form.dataset.fresh === "1") return;
  const values = new Map();
  for (const [name, value] of JSON.parse(kept)) values.set(name, [...(values.get(name) || []), value]);
  let changed = false;
  for (const one of form.elements) {
    if (!keeps(one)) continue;
    const said = values.get(one.name);
    if (one.type === "radio" || one.type === "checkbox") {
      const on = said !== undefined && said.includes(one.value);
      changed ||= one.checked !== on;
      one.checked = on;
    } else if (said !== undefined) {
      changed ||= one.type !== "hidden" && one.value !== said[0];
      one.value = said[0];
    }
  }
  if (changed) form.querySelector("[data-restored]")?.removeAttribute("hidden");
}

for (const form of forms) {
  restore(form);
  const keep = () => sessionStorage.setItem(saved(form), JSON.stringify(typed(form)));
  form.addEventListener("input", keep);
  form.addEventListener("change", keep);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "dialog") return;
  if (form.dataset.sent === "1") { event.preventDefault(); return; }  // a second tap
  if (form.dataset.keep !== undefined) {
    sessionStorage.setItem(saved(form), JSON.stringify(typed(form)));
    sessionStorage.setItem(SENT, JSON.stringify([...new Set([...waiting(), saved(form)])]));
  }
  if (form.target === "_blank" || form.hasAttribute("data-again")) return;
  form.dataset.sent = "1";
  event.submitter?.setAttribute("aria-busy", "true");
  if (form.dataset.slow) {
    const told = document.createElement("div");
    told.className = "notice";
    told.setAttribute("role", "status");
    told.append(Object.assign(document.createElement("progress"), {}), Object.assign(document.createElement("p"), { textContent: form.dataset.slow }));
    form.append(told);
  }
});
// Back from the history: forms may be sent again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const busy of document.querySelectorAll("[aria-busy=true]")) busy.removeAttribute("aria-busy");
});

document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form?.hasAttribute("data-auto")) form.requestSubmit();
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) { event.preventDefault(); document.getElementById(opener.dataset.open)?.showModal(); }
  const closer = event.target.closest("[data-close]");
  if (closer) { event.preventDefault(); closer.closest("dialog")?.close(); }
  const copier = event.target.closest("[data-copy]");
  if (copier) navigator.clipboard?.writeText(copier.dataset.copy);
});

const writes = (element) => element.closest?.("input, textarea, select, [contenteditable]");
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target) || document.querySelector("dialog[open]")) return;
  const target = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key && !one.closest("[hidden]"));
  if (!target) return;
  event.preventDefault();
  if (writes(target)) target.focus(); else target.click();
});

// Printing.
// A long navigation shows where one is.
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
for (const button of document.querySelectorAll("[data-print]")) { button.hidden = false; button.addEventListener("click", () => print()); }

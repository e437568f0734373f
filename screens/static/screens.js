// Makes plain pages quicker; every page works without it.
//   form[data-keep="name"]   what was typed survives a reload and an ended session, until the server says that it has it
//   form[data-slow="text"]   says that work is going on
//   form[data-auto]          is sent when a choice changes
//   [data-open="id"], [data-close]   open and close a <dialog>
//   [data-key="g h"]         keyboard: focuses or presses the element
//   [data-copy="text"]       copies
const saved = (form) => `keep:${location.pathname}:${form.dataset.keep}`;

function typed(form) {
  return [...new FormData(form)].filter(([name, value]) => typeof value === "string" && name !== "csrf");
}

function restore(form) {
  const kept = sessionStorage.getItem(saved(form));
  if (kept === null || form.dataset.fresh === "1") return;
  const values = new Map();
  for (const [name, value] of JSON.parse(kept)) values.set(name, [...(values.get(name) || []), value]);
  let changed = false;
  for (const one of form.elements) {
    if (!one.name || one.type === "hidden" || one.type === "file" || one.type === "password" || one.type === "submit") continue;
    const said = values.get(one.name);
    if (one.type === "radio" || one.type === "checkbox") {
      const on = said !== undefined && said.includes(one.value);
      changed ||= one.checked !== on;
      one.checked = on;
    } else if (said !== undefined) {
      changed ||= one.value !== said[0];
      one.value = said[0];
    }
  }
  if (changed) form.querySelector("[data-restored]")?.removeAttribute("hidden");
}

for (const form of document.querySelectorAll("form[data-keep]")) {
  restore(form);
  const keep = () => sessionStorage.setItem(saved(form), JSON.stringify(typed(form)));
  form.addEventListener("input", keep);
  form.addEventListener("change", keep);
}
// The server names the forms whose content it has: <meta name="kept" content="path:name">.
for (const meta of document.querySelectorAll("meta[name=kept]")) sessionStorage.removeItem(`keep:${meta.content}`);

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "dialog") return;
  if (form.dataset.sent === "1") { event.preventDefault(); return; }  // a second tap
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
for (const button of document.querySelectorAll("[data-print]")) { button.hidden = false; button.addEventListener("click", () => print()); }

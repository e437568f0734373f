// A field for an area offers divisions while somebody types a name, pinyin or a code. Without this it is a plain field.
//   input[data-areas="address"]   asked with ?q=…, answers [[name, code], …]
//   data-none, data-many          what is read out
const PAUSE_MS = 120;

function offering(input, number) {
  const list = Object.assign(document.createElement("ul"), { id: `areas-${number}`, className: "offered", hidden: true });
  const told = Object.assign(document.createElement("span"), { className: "sr" });
  let found = [], at = -1, timer = 0, asking = null;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", input.labels?.[0]?.textContent.replace("*", "").trim() || input.getAttribute("aria-label") || "");
  told.setAttribute("role", "status");
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"], ["aria-controls", list.id]]) input.setAttribute(name, value);
  input.after(list, told);

  const close = () => { list.hidden = true; at = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
  const choose = (one) => {
    input.value = `${one[0]} ${one[1]}`.trim();
    close();
    for (const name of ["input", "change"]) input.dispatchEvent(new CustomEvent(name, { bubbles: true, detail: "chosen" }));
  };
  const go = (to) => {
    at = (to + found.length) % found.length;
    [...list.children].forEach((one, n) => one.setAttribute("aria-selected", String(n === at)));
    list.children[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", list.children[at].id);
  };
  const show = () => {
    list.replaceChildren(...found.map(([name, code], n) => {
      const line = Object.assign(document.createElement("li"), { id: `${list.id}-${n}` });
      line.setAttribute("role", "option");
      line.setAttribute("aria-selected", "false");
      line.append(Object.assign(document.createElement("span"), { textContent: name }), Object.assign(document.createElement("small"), { textContent: code, className: "mono" }));
      line.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(found[n]); });
      return line;
    }));
    list.hidden = !found.length;
    at = -1;
    input.setAttribute("aria-expanded", String(!list.hidden));
    told.textContent = found.length ? `${found.length} ${input.dataset.many}` : input.value ? input.dataset.none : "";
  };
  const ask = async () => {
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(`${input.dataset.areas}?q=${encodeURIComponent(input.value)}`, { headers: { Accept: "application/json" }, signal: asking.signal });
      found = answer.ok ? await answer.json() : [];
      if (document.activeElement === input) show();
    } catch (error) {
      if (error.name !== "AbortError") close();  // no network: what is typed is read by the server
    }
  };
  input.addEventListener("input", (event) => {
    if (event.detail === "chosen") return;
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && list.hidden) ask();
    else if (list.hidden) return;
    else if (event.key === "ArrowDown") go(at + 1);
    else if (event.key === "ArrowUp") go(at < 0 ? found.length - 1 : at - 1);
    else if (event.key === "Enter" && at >= 0) choose(found[at]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", () => { clearTimeout(timer); asking?.abort(); close(); });
}

document.querySelectorAll("input[data-areas]").forEach(offering);

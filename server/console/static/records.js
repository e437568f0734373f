// Lists: choosing columns, one open menu at a time, and how far a download is. All of it works without this, but for the columns.
for (const form of document.querySelectorAll("form[data-columns]")) {
  form.addEventListener("change", () => {
    const named = [...form.querySelectorAll("[data-column]:checked")].map((one) => one.dataset.column);
    const before = form.elements.cols.value.split(",").filter((name) => named.includes(name));
    form.elements.cols.value = [...before, ...named.filter((name) => !before.includes(name))].join(",");
  });
}

const picks = [...document.querySelectorAll("details.pick")];
for (const pick of picks) pick.addEventListener("toggle", () => { if (pick.open) for (const other of picks) if (other !== pick) other.open = false; });
document.addEventListener("click", (event) => { for (const pick of picks) if (!pick.contains(event.target)) pick.open = false; });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") for (const pick of picks) pick.open = false; });

// Empty inputs make long addresses.
document.getElementById("filters")?.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

for (const form of document.querySelectorAll("form[data-export]")) {
  form.addEventListener("submit", async (event) => {
    if (!window.ReadableStream) return;
    event.preventDefault();
    const told = form.querySelector("[data-progress]"), bar = told.querySelector("progress"), said = told.querySelector("[role=status]");
    const button = form.querySelector("button:not([type=button])");
    told.hidden = false;
    button.disabled = true;
    bar.removeAttribute("value");
    try {
      const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/html" } });
      if (!response.ok || !response.headers.get("Content-Disposition")) { form.submit(); return; }
      const pieces = [], reader = response.body.getReader();
      let length = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        pieces.push(value);
        length += value.length;
        said.textContent = `${(length / 1e6).toFixed(1)} MB`;
      }
      const name = /filename\*=UTF-8''([^;]+)/.exec(response.headers.get("Content-Disposition"));
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob(pieces)), download: name ? decodeURIComponent(name[1]) : "export" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      bar.value = 1;
      said.textContent += " ✓";
    } finally {
      button.disabled = false;
    }
  });
}

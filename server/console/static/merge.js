// The merge desk: what goes with a choice is shown with it; typing a value chooses it.
const form = document.getElementById("decision");
if (form) {
  document.documentElement.classList.add("script");
  const parts = [...form.querySelectorAll("[data-for]")];
  const show = () => {
    const chosen = form.querySelector("input[name=choice]:checked")?.value;
    for (const part of parts) part.dataset.shown = part.dataset.for === chosen ? "1" : "0";
  };
  form.addEventListener("change", (event) => {
    show();
    if (event.target.name === "choice") form.querySelector(`[data-for="${CSS.escape(event.target.value)}"] :is(textarea, input, select)`)?.focus();
  });
  show();
  document.getElementById("newcomer")?.scrollIntoView({ block: "nearest" });
}

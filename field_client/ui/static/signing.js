// Signatures drawn with a finger. What is sent is what was drawn; an empty box is refused by the program, in words.
for (const pad of document.querySelectorAll("[data-pad-for]")) {
  pad.hidden = false;
  const canvas = pad.querySelector("canvas"), pen = canvas.getContext("2d"), field = pad.querySelector("[name=drawn]");
  let last = null;
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height]; };
  const wipe = () => { pen.fillStyle = "#fff"; pen.fillRect(0, 0, canvas.width, canvas.height); field.value = ""; };
  wipe();
  canvas.addEventListener("pointerdown", (event) => { event.preventDefault(); canvas.setPointerCapture(event.pointerId); last = at(event); });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const one of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) {
      const now = at(one);
      Object.assign(pen, { lineWidth: 5, lineCap: "round", lineJoin: "round", strokeStyle: "#111" });
      pen.beginPath(); pen.moveTo(...last); pen.lineTo(...now); pen.stroke();
      last = now;
    }
    field.value = "drawn";
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; if (field.value) field.value = canvas.toDataURL("image/png"); });
  pad.querySelector("[data-wipe]").addEventListener("click", wipe);
}
for (const chip of document.querySelectorAll("[data-fill]")) chip.addEventListener("click", () => { document.getElementById(chip.dataset.fill).value = chip.dataset.words; });

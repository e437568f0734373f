// Photos of a record, large: arrows for the next one, + - 0 to zoom, R to turn, wheel, drag, pinch and swipe.
const dialog = document.getElementById("viewer");
const photos = [...document.querySelectorAll("[data-viewer] a.photo[data-large]")];
const stage = dialog?.querySelector(".viewer-stage"), picture = stage?.querySelector("img"), wait = stage?.querySelector(".viewer-wait");
let at = 0, scale = 1, turn = 0, x = 0, y = 0;

function draw() {
  const sideways = turn % 180 !== 0;
  const fit = sideways && picture.naturalWidth ? Math.min(stage.clientWidth / picture.clientHeight, stage.clientHeight / picture.clientWidth, 1) : 1;
  picture.style.transform = `translate(${x}px, ${y}px) rotate(${turn}deg) scale(${scale * fit})`;
}

function zoom(factor, cx = stage.clientWidth / 2, cy = stage.clientHeight / 2) {
  const next = Math.min(12, Math.max(1, scale * factor)), ratio = next / scale;
  const dx = cx - stage.clientWidth / 2, dy = cy - stage.clientHeight / 2;
  x = next === 1 ? 0 : dx - (dx - x) * ratio;
  y = next === 1 ? 0 : dy - (dy - y) * ratio;
  scale = next;
  draw();
}

function show(number) {
  at = Math.max(0, Math.min(photos.length - 1, number));
  const photo = photos[at];
  scale = 1; turn = 0; x = 0; y = 0;
  wait.hidden = false;
  picture.style.opacity = "0.35";
  picture.src = photo.querySelector("img")?.src || "";  // what is there at once, until the large one is
  const large = new Image();
  large.onload = () => { if (photos[at] === photo) { picture.src = large.src; picture.style.opacity = "1"; wait.hidden = true; } };
  large.onerror = () => { if (photos[at] === photo) { picture.style.opacity = "1"; wait.hidden = true; } };
  large.src = photo.dataset.large;
  picture.alt = photo.dataset.title;
  dialog.querySelector(".viewer-title").textContent = `${at + 1} / ${photos.length}  ${photo.dataset.title}`;
  dialog.querySelector(".viewer-facts").textContent = photo.dataset.facts;
  const original = dialog.querySelector("[data-original-link]");
  original.hidden = !photo.dataset.original;
  original.href = photo.dataset.original || "#";
  original.target = "_blank";
  dialog.querySelector("[data-do=previous]").disabled = at === 0;
  dialog.querySelector("[data-do=next]").disabled = at === photos.length - 1;
  draw();
}

const acts = {
  in: () => zoom(1.5), out: () => zoom(1 / 1.5), rotate: () => { turn += 90; draw(); }, close: () => dialog.close(),
  previous: () => show(at - 1), next: () => show(at + 1),
};

if (dialog && photos.length) {
  photos.forEach((photo, number) => photo.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    dialog.showModal();
    show(number);
  }));
  dialog.addEventListener("click", (event) => { const button = event.target.closest("[data-do]"); if (button) acts[button.dataset.do](); });
  dialog.addEventListener("close", () => photos[at].focus());
  dialog.addEventListener("keydown", (event) => {
    const keys = { ArrowLeft: "previous", ArrowRight: "next", "+": "in", "=": "in", "-": "out", r: "rotate", R: "rotate" };
    if (event.key === "0") { scale = 1; x = 0; y = 0; draw(); } else if (keys[event.key]) acts[keys[event.key]](); else return;
    event.preventDefault();
  });
  stage.addEventListener("wheel", (event) => { event.preventDefault(); const box = stage.getBoundingClientRect(); zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.clientX - box.left, event.clientY - box.top); }, { passive: false });
  stage.addEventListener("dblclick", () => zoom(scale > 1 ? 0.01 : 2.5));

  const fingers = new Map();
  let began = null;
  stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); fingers.set(event.pointerId, event); began = { x: event.clientX, y: event.clientY }; });
  stage.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (fingers.size === 2) {
      const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
      const far = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      const box = stage.getBoundingClientRect();
      zoom(far(event) / (far(before) || 1), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
      began = null;
    } else if (scale > 1) { x += event.clientX - before.clientX; y += event.clientY - before.clientY; draw(); }
    fingers.set(event.pointerId, event);
  });
  const up = (event) => {
    fingers.delete(event.pointerId);
    if (began && scale === 1 && Math.abs(event.clientX - began.x) > 60 && Math.abs(event.clientY - began.y) < 80) acts[event.clientX < began.x ? "next" : "previous"]();
    began = null;
  };
  stage.addEventListener("pointerup", up);
  stage.addEventListener("pointercancel", up);
  addEventListener("resize", draw);
}

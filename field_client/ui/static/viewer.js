// A photo, large: pinch, wheel, double tap and buttons zoom; the whole original is fetched once somebody looks closer.
// Drawing goes onto a sheet above it; what is kept is a copy that the program draws from the same strokes.
const viewer = document.querySelector("[data-viewer]");
const stage = viewer?.querySelector("[data-stage]"), picture = viewer?.querySelector("[data-picture]");
if (stage) zooming();
for (const form of document.querySelectorAll("form[data-owing]")) {
  fetch(form.action, { method: "POST", headers: { Accept: "application/json" } }).then((answer) => { if (answer.ok) location.reload(); }).catch(() => {});
}

function zooming() {
  let scale = 1, x = 0, y = 0, full = false;
  const fingers = new Map();
  let apart = 0;
  const show = () => {
    scale = Math.min(8, Math.max(1, scale));
    const most = [(scale - 1) * stage.clientWidth / 2, (scale - 1) * stage.clientHeight / 2];
    x = Math.min(most[0], Math.max(-most[0], x));
    y = Math.min(most[1], Math.max(-most[1], y));
    picture.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    stage.classList.toggle("zoomed", scale > 1);
    if (scale > 1.4 && !full && viewer.dataset.full && !picture.src.endsWith("/content")) {
      full = true;
      const whole = new Image();
      whole.addEventListener("load", () => { if (!sheet.on) picture.src = whole.src; });
      whole.src = viewer.dataset.full;
    }
  };
  for (const button of viewer.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => { scale *= button.dataset.zoom > 0 ? 1.6 : 1 / 1.6; show(); });
  stage.addEventListener("wheel", (event) => { event.preventDefault(); scale *= event.deltaY < 0 ? 1.15 : 1 / 1.15; show(); }, { passive: false });
  stage.addEventListener("dblclick", () => { if (sheet.on) return; scale = scale > 1 ? 1 : 2.5; show(); });
  const distance = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  stage.addEventListener("pointerdown", (event) => {
    if (sheet.on) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    stage.setPointerCapture(event.pointerId);
    if (fingers.size === 2) apart = distance();
  });
  stage.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    fingers.set(event.pointerId, now);
    if (fingers.size === 2) { scale *= distance() / apart; apart = distance(); } else if (scale > 1) { x += now.x - before.x; y += now.y - before.y; }
    show();
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => fingers.delete(event.pointerId));
  const sheet = drawing(() => { scale = 1; x = y = 0; show(); });
}

function drawing(flat) {
  const sheet = { on: false };
  const editor = document.querySelector("[data-editor]");
  if (!editor) return sheet;
  const WHOLE = 10_000, MOST = 60;
  const COLOURS = { red: "rgb(214 40 40)", yellow: "rgb(250 204 21)", blue: "rgb(29 99 220)" };
  const canvas = stage.querySelector("[data-paint]"), form = editor.querySelector("form"), keep = editor.querySelector("[data-keep-drawing]");
  const strokes = [];
  let shape = "", colour = "red", now = null;
  editor.querySelector("[data-draw-tools]").hidden = false;
  const fit = () => {
    const box = picture.getBoundingClientRect(), ratio = picture.naturalWidth / picture.naturalHeight;
    const width = Math.min(box.width, box.height * ratio), height = width / ratio;  // object-fit: contain
    const outer = stage.getBoundingClientRect();
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px`, left: `${box.left - outer.left + (box.width - width) / 2}px`, top: `${box.top - outer.top + (box.height - height) / 2}px` });
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    paint();
  };
  const paint = () => {
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const thick = Math.max(3, Math.max(canvas.width, canvas.height) / 160);
    for (const one of now ? [...strokes, now] : strokes) for (const [width, ink] of [[thick * 1.5, "#fff"], [thick, COLOURS[one[1]]]]) {
      const points = one[2].map(([px, py]) => [px * canvas.width / WHOLE, py * canvas.height / WHOLE]);
      Object.assign(pen, { lineWidth: width, strokeStyle: ink, lineCap: "round", lineJoin: "round" });
      pen.beginPath();
      const [first, last] = [points[0], points[points.length - 1]];
      if (one[0] === "box") pen.rect(first[0], first[1], last[0] - first[0], last[1] - first[1]);
      else if (one[0] === "arrow") {
        const angle = Math.atan2(last[1] - first[1], last[0] - first[0]);
        pen.moveTo(...first); pen.lineTo(...last);
        for (const side of [-0.5, 0.5]) { pen.moveTo(...last); pen.lineTo(last[0] - 5 * thick * Math.cos(angle + side), last[1] - 5 * thick * Math.sin(angle + side)); }
      } else { pen.moveTo(...first); for (const point of points) pen.lineTo(...point); }
      pen.stroke();
    }
    keep.disabled = strokes.length === 0;
    form.elements.strokes.value = JSON.stringify(strokes);
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const inside = (value) => Math.min(WHOLE, Math.max(0, Math.round(value * WHOLE)));
    return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
  };
  for (const button of editor.querySelectorAll("[data-shape]")) button.addEventListener("click", () => {
    shape = shape === button.dataset.shape ? "" : button.dataset.shape;
    for (const one of editor.querySelectorAll("[data-shape]")) one.setAttribute("aria-pressed", String(one.dataset.shape === shape));
    sheet.on = shape !== "";
    canvas.hidden = !sheet.on && strokes.length === 0;
    canvas.classList.toggle("idle", !sheet.on);
    if (sheet.on) { flat(); fit(); stage.scrollIntoView({ block: "center", behavior: "smooth" }); }
  });
  for (const button of editor.querySelectorAll("[data-colour]")) button.addEventListener("click", () => {
    colour = button.dataset.colour;
    for (const one of editor.querySelectorAll("[data-colour]")) one.setAttribute("aria-pressed", String(one === button));
  });
  editor.querySelector("[data-undo]").addEventListener("click", () => { strokes.pop(); paint(); });
  canvas.addEventListener("pointerdown", (event) => {
    if (!sheet.on || strokes.length >= MOST) return;
    canvas.setPointerCapture(event.pointerId);
    now = [shape, colour, [at(event)]];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!now) return;
    if (now[0] === "line") { if (now[2].length < 2_000) now[2].push(at(event)); } else now[2][1] = at(event);
    paint();
  });
  const end = () => { if (now && now[2].length > 1) strokes.push(now); now = null; paint(); };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  addEventListener("resize", () => { if (!canvas.hidden) fit(); });
  return sheet;
}

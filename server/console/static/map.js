// A map that needs no network: clusters from the server, layer by layer, on its own pictures or outlines, or on a grid of degrees.
// A layer is drawn by the mark in its line of the legend. Marks of several layers at one place stand beside each other.
// Drag, wheel, pinch, arrow keys, plus and minus. Positions are Web Mercator of WGS-84.
const SIZE = 256, DEEPEST = 19, LISTED = 80;
const BESIDE = [[0, 0], [13, -11], [-13, -11], [-13, 11], [13, 11], [0, -19], [0, 19], [19, 0], [-19, 0]];
const FONT = getComputedStyle(document.body).fontFamily;
const toX = (lon) => (lon + 180) / 360;
const toY = (lat) => { const s = Math.sin(lat * Math.PI / 180); return 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI); };
const toLon = (x) => x * 360 - 180;
const toLat = (y) => Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180 / Math.PI;

class Map_ {
  constructor(element) {
    this.element = element;
    this.said = element.dataset;
    this.list = document.querySelector("[data-map-list]");
    this.canvas = document.createElement("canvas");
    element.replaceChildren(this.canvas);
    this.context = this.canvas.getContext("2d");
    this.layers = [...document.querySelectorAll("[data-layer]")].map((input, number) => {
      const line = input.closest("label"), mark = line.querySelector("svg");
      return { input, mark, path: new Path2D(mark.querySelector("path").getAttribute("d")), count: line.querySelector("output"), clusters: [], beside: BESIDE[number % BESIDE.length] };
    });
    this.here = null;
    this.tiles = new Map(); this.outlines = []; this.hit = [];
    this.resize();
    if (this.said.lat) { this.x = toX(+this.said.lon); this.y = toY(+this.said.lat); this.zoom = +this.said.zoom || 15; } else this.all();
    this.listen();
    if (this.said.outlines) fetch(this.said.outlines).then((answer) => answer.json()).then((found) => { this.outlines = lines(found); this.draw(); });
    this.moved(0);
  }

  get scale() { return SIZE * 2 ** this.zoom; }

  all() {
    const [south, west, north, east] = this.said.box.split(",").map(Number);
    const wide = Math.max(toX(east) - toX(west), 1e-6), high = Math.max(toY(south) - toY(north), 1e-6);
    this.x = (toX(west) + toX(east)) / 2; this.y = (toY(south) + toY(north)) / 2;
    this.zoom = Math.max(1, Math.min(17, Math.log2(Math.min((this.width - 80) / wide, (this.height - 80) / high) / SIZE)));
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    this.width = this.element.clientWidth; this.height = this.element.clientHeight;
    this.canvas.width = this.width * ratio; this.canvas.height = this.height * ratio;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  place(lat, lon) { return [(toX(lon) - this.x) * this.scale + this.width / 2, (toY(lat) - this.y) * this.scale + this.height / 2]; }

  box() {
    const w = this.width / 2 / this.scale, h = this.height / 2 / this.scale;
    return [toLat(Math.min(1, this.y + h)), toLon(Math.max(0, this.x - w)), toLat(Math.max(0, this.y - h)), toLon(Math.min(1, this.x + w))];
  }

  by(dx, dy) { this.x -= dx / this.scale; this.y = Math.min(1, Math.max(0, this.y - dy / this.scale)); this.moved(); }

  closer(step, px = this.width / 2, py = this.height / 2) {
    const before = this.scale, next = Math.min(DEEPEST, Math.max(2, this.zoom + step));
    const fx = this.x + (px - this.width / 2) / before, fy = this.y + (py - this.height / 2) / before;
    this.zoom = next;
    this.x = fx - (px - this.width / 2) / this.scale; this.y = fy - (py - this.height / 2) / this.scale;
    this.moved();
  }

  moved(after = 160) {
    this.draw();
    if (!this.layers.length) return;
    this.list?.setAttribute("aria-busy", "true");  // what it names is from before the move
    clearTimeout(this.timer); this.timer = setTimeout(() => this.ask(), after);
  }

  async ask() {
    this.abort?.abort();
    this.abort = new AbortController();
    this.here = null;
    const { signal } = this.abort, [s, w, n, e] = this.box(), dx = (e - w) * 0.15, dy = (n - s) * 0.15;  // a little beyond the edge
    const where = `&zoom=${Math.round(this.zoom)}&box=${[s - dy, w - dx, n + dy, e + dx].map((one) => one.toFixed(6)).join(",")}`;
    try {
      await Promise.all(this.layers.map(async (layer) => {
        if (!layer.input.checked) { layer.clusters = []; layer.newest = 0; return; }
        const answer = await fetch(layer.input.dataset.layer + where, { signal, headers: { Accept: "application/json" } });
        if (answer.redirected || answer.status === 401) { location.reload(); return; }
        const said = await answer.json();
        layer.clusters = said.clusters; layer.newest = said.newest;
        this.draw();  // what is there already does not wait for the others
      }));
    } catch (problem) { if (problem.name === "AbortError") return; throw problem; }
    this.draw();
    this.tell();
  }

  tell() {
    const [s, w, n, e] = this.box();
    const inside = ([, lat, lon]) => lat / 1e7 >= s && lat / 1e7 <= n && lon / 1e7 >= w && lon / 1e7 <= e;
    let sum = 0;
    const named = [];
    for (const layer of [...this.layers].reverse()) {  // findings before the institutions under them
      const found = layer.clusters.filter(inside), many = found.reduce((all, [one]) => all + one, 0);
      sum += many;
      layer.count.textContent = layer.input.checked ? many.toLocaleString("en") + (layer.newest ? "+" : "") : "";
      for (const [, , , records] of found) for (const [record, title] of records) named.push({ record, title, layer });
    }
    const said = document.querySelector("[data-map-said]");
    if (said) said.textContent = said.dataset.words.replace("{n}", sum.toLocaleString("en"));
    const part = document.querySelector("[data-map-part]"), newest = Math.max(0, ...this.layers.map((layer) => layer.newest || 0));
    if (part) { part.hidden = !newest; part.textContent = part.dataset.words.replace("{n}", newest.toLocaleString("en")); }
    if (!this.list) return;
    const here = this.here && this.here.records.map(([record, title]) => ({ record, title, layer: this.here.layer }));
    const heading = document.querySelector("[data-map-heading]");
    heading.dataset.all ??= heading.textContent;
    heading.textContent = here ? heading.dataset.here.replace("{n}", this.here.many) : heading.dataset.all;
    document.querySelector("[data-map-back]").hidden = !here;
    this.list.setAttribute("aria-busy", "false");
    this.list.replaceChildren(...(here || named.slice(0, LISTED)).map(({ record, title, layer }) => {
      const item = document.createElement("li"), link = document.createElement("a"), words = document.createElement("span");
      link.className = "line"; link.href = this.said.record.replace("RECORD", encodeURIComponent(record));
      words.className = "main"; words.textContent = title || record;
      link.append(layer.mark.cloneNode(true), words);
      item.append(link);
      return item;
    }));
    document.querySelector("[data-map-far]").hidden = Boolean(here || named.length);
  }

  colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

  draw() {
    const g = this.context;
    g.clearRect(0, 0, this.width, this.height);
    if (this.said.tiles) this.drawTiles(g); else this.drawGrid(g);
    this.drawOutlines(g);
    this.hit = [];
    const named = [];
    for (const layer of this.layers) {
      const fill = getComputedStyle(layer.mark).color, rim = this.colour("--paper"), ink = this.colour("--accent-ink");
      const most = Math.max(1, ...layer.clusters.map(([many]) => many));
      for (const [many, lat, lon, records, corners] of layer.clusters) {
        let [px, py] = this.place(lat / 1e7, lon / 1e7);
        px += layer.beside[0]; py += layer.beside[1];
        if (px < -40 || py < -40 || px > this.width + 40 || py > this.height + 40) continue;
        const radius = many === 1 ? 9 : 14 + 14 * Math.log(many) / Math.log(most + 1);
        const picked = records.some(([record]) => record === this.said.pick) || (this.here && this.here.layer === layer && this.here.at[0] === lat && this.here.at[1] === lon);
        this.hit.push({ px, py, radius: Math.max(radius, 14), many, records, corners, layer, at: [lat, lon] });
        g.save(); g.translate(px, py); g.scale(radius / 11, radius / 11); g.translate(-12, -12);
        g.lineJoin = "round"; g.lineWidth = (picked ? 8 : 4) * 11 / radius; g.strokeStyle = picked ? this.colour("--ink") : rim; g.stroke(layer.path);
        g.fillStyle = fill; g.fill(layer.path);
        g.restore();
        if (many > 1) {
          g.fillStyle = ink; g.font = `600 ${radius > 20 ? 14 : 12}px ${FONT}`; g.textAlign = "center"; g.textBaseline = "middle";
          g.fillText(many >= 10000 ? `${Math.round(many / 1000)}k` : String(many), px, py + (layer.input.value.endsWith(":due") ? radius / 4 : 1));
        } else if (records.length && records[0][1] && this.zoom > 12) {
          const title = records[0][1];
          named.push([px, py, title.length > 18 ? `${title.slice(0, 17)}…` : title]);
        }
      }
    }
    const taken = this.hit.map(({ px, py, many }) => { const half = many === 1 ? 9 : 14; return [px - half, py - half, px + half, py + half]; });
    g.font = `13px ${FONT}`; g.textAlign = "left"; g.textBaseline = "middle"; g.lineWidth = 4; g.lineJoin = "round";
    for (const [px, py, title] of named) {  // a name is written where nothing else is: right of its mark, left, below or above
      const wide = g.measureText(title).width;
      const free = [[px + 13, py], [px - 13 - wide, py], [px - wide / 2, py + 20], [px - wide / 2, py - 20]]
        .map(([left, middle]) => [left, middle - 9, left + wide + 3, middle + 9])
        .find((box) => box[0] > 2 && box[2] < this.width - 2 && taken.every(([a, b, c, d]) => box[2] < a || box[0] > c || box[3] < b || box[1] > d));
      if (!free) continue;
      taken.push(free);
      g.strokeStyle = this.colour("--paper"); g.strokeText(title, free[0], free[1] + 9);
      g.fillStyle = this.colour("--ink"); g.fillText(title, free[0], free[1] + 9);
    }
    if (this.said.pin) {
      const [px, py] = this.place(+this.said.lat, +this.said.lon);
      g.beginPath(); g.arc(px, py, 9, 0, 2 * Math.PI); g.fillStyle = this.colour("--accent"); g.fill(); g.lineWidth = 3; g.strokeStyle = "#fff"; g.stroke();
    }
    this.drawScale(g);
  }

  drawGrid(g) {
    const [s, w, n, e] = this.box();
    const step = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001].find((one) => one / 360 * this.scale < 220) || 0.001;
    g.strokeStyle = this.colour("--line-2"); g.fillStyle = this.colour("--ink-3"); g.lineWidth = 1; g.font = `11px ${FONT}`; g.textAlign = "left"; g.textBaseline = "top";
    const digits = Math.max(0, Math.ceil(-Math.log10(step)));
    for (let lon = Math.ceil(w / step) * step; lon <= e; lon += step) { const [px] = this.place(0, lon); g.beginPath(); g.moveTo(px, 0); g.lineTo(px, this.height); g.stroke(); g.fillText(`${lon.toFixed(digits)}°E`, px + 4, 4); }
    for (let lat = Math.ceil(s / step) * step; lat <= n; lat += step) { const [, py] = this.place(lat, 0); g.beginPath(); g.moveTo(0, py); g.lineTo(this.width, py); g.stroke(); g.fillText(`${lat.toFixed(digits)}°N`, 4, py + 4); }
  }

  drawTiles(g) {
    const z = Math.max(0, Math.min(DEEPEST, Math.round(this.zoom))), many = 2 ** z, size = this.scale / many;
    const left = this.x * this.scale - this.width / 2, top = this.y * this.scale - this.height / 2;
    for (let tx = Math.floor(left / size); tx * size < left + this.width; tx++) for (let ty = Math.floor(top / size); ty * size < top + this.height; ty++) {
      if (ty < 0 || ty >= many) continue;
      const key = `${z}/${((tx % many) + many) % many}/${ty}`;
      let tile = this.tiles.get(key);
      if (!tile) {
        tile = new Image(); tile.onload = () => this.draw(); tile.onerror = () => {}; tile.src = this.said.tiles.replace("{z}/{x}/{y}", key);
        this.tiles.set(key, tile);
        if (this.tiles.size > 400) this.tiles.delete(this.tiles.keys().next().value);
      }
      if (tile.complete && tile.naturalWidth) g.drawImage(tile, Math.round(tx * size - left), Math.round(ty * size - top), Math.ceil(size), Math.ceil(size));
    }
  }

  drawOutlines(g) {
    g.strokeStyle = this.colour("--ink-3"); g.lineWidth = 1.2;
    for (const line of this.outlines) {
      g.beginPath();
      line.forEach(([lon, lat], number) => { const [px, py] = this.place(lat, lon); if (number) g.lineTo(px, py); else g.moveTo(px, py); });
      g.stroke();
    }
  }

  drawScale(g) {
    const metres = 40075016 * Math.cos(toLat(this.y) * Math.PI / 180) / this.scale;
    const long = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000].find((one) => one / metres > 60);
    if (!long) return;
    const wide = long / metres, px = this.width - wide - 14, py = this.height - 14;
    g.strokeStyle = this.colour("--ink-2"); g.fillStyle = this.colour("--ink-2"); g.lineWidth = 2; g.beginPath(); g.moveTo(px, py - 5); g.lineTo(px, py); g.lineTo(px + wide, py); g.lineTo(px + wide, py - 5); g.stroke();
    g.font = `11px ${FONT}`; g.textAlign = "center"; g.textBaseline = "bottom"; g.fillText(long >= 1000 ? `${long / 1000} km` : `${long} m`, px + wide / 2, py - 2);
  }

  choose(px, py) {
    const found = this.hit.filter((one) => Math.hypot(one.px - px, one.py - py) <= one.radius + 4).sort((a, b) => Math.hypot(a.px - px, a.py - py) - Math.hypot(b.px - px, b.py - py))[0];
    if (!found) return;
    if (found.many === 1 && found.records.length) { location.href = this.said.record.replace("RECORD", encodeURIComponent(found.records[0][0])); return; }
    const [s, w, n, e] = found.corners.map((one) => one / 1e7);
    const wide = Math.max((toX(e) - toX(w)) * SIZE, 1e-12), high = Math.max((toY(s) - toY(n)) * SIZE, 1e-12);
    if (found.records.length && (n - s + e - w < 2e-5 || this.zoom >= DEEPEST)) {  // one place: looking closer would not part them
      this.here = found;
      this.draw(); this.tell();
      return;
    }
    this.x = (toX(w) + toX(e)) / 2; this.y = (toY(s) + toY(n)) / 2;
    this.zoom = Math.min(DEEPEST, Math.max(this.zoom + 1, Math.log2(Math.min((this.width - 120) / wide, (this.height - 120) / high))));
    this.moved(0);
  }

  listen() {
    const fingers = new Map(), spot = (event) => { const box = this.canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    let far = 0;
    this.canvas.addEventListener("pointerdown", (event) => { this.canvas.setPointerCapture(event.pointerId); fingers.set(event.pointerId, event); far = 0; });
    this.canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) { this.canvas.style.cursor = this.hit.some((one) => Math.hypot(one.px - spot(event)[0], one.py - spot(event)[1]) <= one.radius) ? "pointer" : ""; return; }
      const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
      far += Math.abs(dx) + Math.abs(dy);
      if (fingers.size === 2) {
        const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId), length = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        const [ax, ay] = spot(event), [bx, by] = spot(other);
        this.closer(Math.log2(length(event) / (length(before) || 1)), (ax + bx) / 2, (ay + by) / 2);
      } else this.by(dx, dy);
      fingers.set(event.pointerId, event);
    });
    const up = (event) => { if (fingers.delete(event.pointerId) && far < 6 && event.type === "pointerup") this.choose(...spot(event)); };
    this.canvas.addEventListener("pointerup", up);
    this.canvas.addEventListener("pointercancel", up);
    this.canvas.addEventListener("wheel", (event) => { event.preventDefault(); this.closer(event.deltaY < 0 ? 0.5 : -0.5, ...spot(event)); }, { passive: false });
    this.element.addEventListener("keydown", (event) => {
      const keys = { ArrowLeft: [90, 0], ArrowRight: [-90, 0], ArrowUp: [0, 90], ArrowDown: [0, -90] };
      if (keys[event.key]) this.by(...keys[event.key]);
      else if (event.key === "+" || event.key === "=") this.closer(1);
      else if (event.key === "-") this.closer(-1);
      else if (event.key === "Enter" && this.hit.length) { const [middle] = [...this.hit].sort((a, b) => Math.hypot(a.px - this.width / 2, a.py - this.height / 2) - Math.hypot(b.px - this.width / 2, b.py - this.height / 2)); this.choose(middle.px, middle.py); } else return;
      event.preventDefault();
    });
    for (const button of document.querySelectorAll("[data-map-do]")) button.addEventListener("click", () => { if (button.dataset.mapDo === "all") { this.all(); this.moved(); } else this.closer(button.dataset.mapDo === "in" ? 1 : -1); });
    for (const { input } of this.layers) input.addEventListener("change", () => {
      const address = new URL(location.href);
      address.searchParams.set("layers", this.layers.filter((one) => one.input.checked).map((one) => one.input.value).join(","));
      history.replaceState(null, "", address);
      this.moved(0);
    });
    document.querySelector("[data-map-back]")?.addEventListener("click", () => { this.here = null; this.draw(); this.tell(); });
    new ResizeObserver(() => { this.resize(); this.moved(); }).observe(this.element);
  }
}

function lines(found) {
  const all = [];
  for (const feature of found.features || [found]) {
    const shape = feature.geometry || feature;
    if (shape.type === "Polygon") all.push(...shape.coordinates);
    else if (shape.type === "MultiPolygon") for (const one of shape.coordinates) all.push(...one);
    else if (shape.type === "LineString") all.push(shape.coordinates);
    else if (shape.type === "MultiLineString") all.push(...shape.coordinates);
  }
  return all;
}

for (const element of document.querySelectorAll("[data-map]")) new Map_(element);

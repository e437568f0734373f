// The camera in the page. A photo goes to the program at once (or after a look at it); a film ends a piece each minute, so
// that a tablet that dies loses no more than that.
const root = document.querySelector("[data-live]");
const find = (name) => root.querySelector(`[data-${name}]`);
const video = find("video"), still = find("still"), finder = find("finder"), shutters = find("shutters"), review = find("review");
const form = document.querySelector("form[data-take]");
const PIECE_MS = 60_000;
const TYPES = ["video/mp4;codecs=avc1.42E01E,mp4a.40.2", "video/mp4;codecs=vp9,opus", "video/mp4", "video/webm;codecs=vp9,opus", "video/webm"];
const stamp = () => new Date().toISOString().replace(/[-:]/g, "").slice(0, 15);
let stream = null, shot = null, recorder = null, again = false, began = 0, pressed = 0;

const SHARP = { facingMode: "environment", width: { ideal: 4096 }, height: { ideal: 3072 } };
const STEADY = { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 25 } };
// One camera, one use at a time: sharp for photos, what the processor keeps up with for films.
async function use(wanted) {
  for (const track of stream?.getTracks() || []) track.stop();
  stream = await navigator.mediaDevices.getUserMedia(wanted).catch(() => navigator.mediaDevices.getUserMedia({ ...wanted, audio: false }));
  video.srcObject = stream;
}
try {
  await use({ video: SHARP });
  finder.hidden = shutters.hidden = false;
} catch {
  find("no-camera").hidden = false;
}

function keep(blob, name) { document.dispatchEvent(new CustomEvent("take", { detail: { blob, name, form } })); }

async function photograph() {
  still.width = video.videoWidth;
  still.height = video.videoHeight;
  still.getContext("2d").drawImage(video, 0, 0);
  return new Promise((done) => { still.toBlob(done, "image/jpeg", 0.93); });
}

find("shutter").addEventListener("click", async () => {
  const blob = await photograph();
  if (!blob) return;
  finder.classList.add("flash");
  setTimeout(() => finder.classList.remove("flash"), 160);
  if (find("burst").checked) { keep(blob, `photo-${stamp()}.jpg`); return; }
  shot = blob;
  still.hidden = review.hidden = false;
  shutters.hidden = true;
});
function back() { shot = null; still.hidden = review.hidden = true; shutters.hidden = false; }
find("retake").addEventListener("click", back);
find("use").addEventListener("click", () => { if (shot) keep(shot, `photo-${stamp()}.jpg`); back(); });

// --- films ---
const film = find("film"), rec = find("rec"), time = find("time");
film.addEventListener("click", async () => {
  if (recorder) { if (Date.now() - pressed > 800) { again = false; recorder.stop(); } return; }  // a hand that slips ends nothing
  film.disabled = true;
  await use({ video: STEADY, audio: true });
  film.disabled = false;
  again = true;
  pressed = Date.now();
  record(TYPES.find((one) => MediaRecorder.isTypeSupported(one)));
});

function record(type) {
  const pieces = [];
  recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 2_500_000 });
  recorder.addEventListener("dataavailable", (event) => { if (event.data.size) pieces.push(event.data); });
  recorder.addEventListener("stop", async () => {
    clearTimeout(timer);
    const plain = type.split(";")[0];
    if (pieces.length) keep(new Blob(pieces, { type: plain }), `video-${stamp()}.${plain.split("/")[1]}`);
    recorder = null;
    if (again) { record(type); return; }
    rec.hidden = true;
    film.classList.remove("danger");
    await use({ video: SHARP }).catch(() => {});
  });
  recorder.start();
  began = Date.now();
  rec.hidden = false;
  film.classList.add("danger");
  const timer = setTimeout(() => recorder?.stop(), PIECE_MS);
}
setInterval(() => {
  if (!recorder) return;
  const seconds = Math.floor((Date.now() - began) / 1000);
  time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}, 500);
addEventListener("pagehide", () => { for (const track of stream?.getTracks() || []) track.stop(); });

// The page of petct view: NiiVue shows PET, CT and mask; clicks go to the server at every change, and stay in the
// browser, too, so that a server that stopped loses none.
import { Niivue, NVImage } from "./niivue.js";

const PET_FIRST = ["pet", "ct"];
const MASK_OPACITY = 0.5;
const SCRIBBLE_MM = 8; // between two clicks of one drag
const KEPT = `petct clicks ${location.pathname}`;

const element = id => document.getElementById(id);
const canvas = element("images");
const view = new Niivue({
  show3Dcrosshair: true, backColor: [0, 0, 0, 1], isRadiologicalConvention: true,
});
let clicks = []; // { name, mm: [x, y, z] } in NIfTI's space
let strokes = []; // how many clicks each gesture added, for undo
let images = [];

async function ask(path, options = {}) {
  const answer = await fetch(path, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error ?? answer.statusText);
  return body;
}

function say(text, failed = false) {
  element("status").textContent = text;
  element("status").className = failed ? "failure" : "";
}

async function tried(work) {
  try { return await work(); } catch (error) { say(String(error.message ?? error), true); }
}

async function open() {
  const study = await ask("study");
  images = PET_FIRST.filter(name => study.images.includes(name));
  await view.attachToCanvas(canvas);
  await view.loadVolumes(images.map((name, index) => ({
    url: `images/${name}.nii`, name: `${name}.nii`, colormap: name === "pet" ? "gray" : "gray", opacity: index ? 0 : 1,
  })));
  view.setSliceType(view.sliceTypeMultiplanar);
  view.opts.dragMode = view.dragModes.none;
  view.createEmptyDrawing();
  view.setDrawColormap({ R: [0, 228, 0], G: [0, 0, 87], B: [0, 43, 255], A: [0, 255, 255], labels: ["", "tumour", "background"] });
  const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
  clicks = kept ?? study.clicks;
  strokes = clicks.map(() => 1);
  choose("0 10");
  draw();
  if (kept) await send();
  say("ready");
  document.body.dataset.ready = "yes";
}

// Clicks as voxels of NiiVue's drawing layer, in all planes.
function draw() {
  const [, width, height, depth] = view.back.dimsRAS;
  view.drawBitmap.fill(0);
  for (const click of clicks) {
    const voxel = view.frac2vox(view.mm2frac(click.mm, 0));
    for (let z = -1; z <= 1; z++) for (let y = -1; y <= 1; y++) for (let x = -1; x <= 1; x++) {
      const [i, j, k] = [voxel[0] + x, voxel[1] + y, voxel[2] + z];
      if (i < 0 || j < 0 || k < 0 || i >= width || j >= height || k >= depth) continue;
      view.drawBitmap[i + width * (j + height * k)] = click.name === "tumor" ? 1 : 2;
    }
  }
  view.refreshDrawing(true);
  const count = name => clicks.filter(click => click.name === name).length;
  element("clicks").textContent = `${count("tumor")} tumour, ${count("background")} background clicks`;
}

async function send() {
  localStorage.setItem(KEPT, JSON.stringify(clicks));
  await tried(() => ask("clicks", { method: "PUT", body: JSON.stringify(clicks) }));
}

// Where on the page is where in the patient; null beside the images.
function place(event) {
  const box = canvas.getBoundingClientRect();
  const ratio = canvas.width / box.width;
  const fraction = view.canvasPos2frac([(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio]);
  if (fraction[0] < 0) return null;
  return [...view.frac2mm(fraction, 0, true)].slice(0, 3);
}

let stroke = null;

function add(event) {
  const mm = place(event);
  const last = stroke.added.at(-1);
  if (!mm || (last && Math.hypot(...mm.map((value, axis) => value - last[axis])) < SCRIBBLE_MM)) return;
  stroke.added.push(mm);
  clicks.push({ name: stroke.name, mm });
  draw();
}

canvas.addEventListener("contextmenu", event => event.preventDefault());
canvas.addEventListener("pointerdown", event => {
  if (event.shiftKey) return;
  stroke = { name: event.button === 2 ? "background" : "tumor", added: [] };
  add(event);
});
canvas.addEventListener("pointermove", event => { if (stroke) add(event); });
window.addEventListener("pointerup", () => {
  if (stroke?.added.length) { strokes.push(stroke.added.length); send(); }
  stroke = null;
});

element("undo").addEventListener("click", () => {
  clicks.splice(clicks.length - (strokes.pop() ?? 0));
  draw();
  send();
});

function choose(window) {
  const [low, high] = window.split(" ").map(Number);
  const shown = low < 0 && images.includes("ct") ? "ct" : "pet";
  images.forEach((name, index) => view.setOpacity(index, name === shown ? 1 : 0));
  const volume = view.volumes[images.indexOf(shown)];
  [volume.cal_min, volume.cal_max] = [low, high];
  view.updateGLVolume();
}
element("window").addEventListener("change", event => choose(event.target.value));

async function showMask() {
  const old = view.volumes[images.length];
  if (old) view.removeVolume(old);
  view.addVolume(await NVImage.loadFromUrl({
    url: `mask.nii?${Date.now()}`, name: "mask.nii", colormap: "red", opacity: MASK_OPACITY, cal_min: 0.5, cal_max: 1,
  }));
}

element("segment").addEventListener("click", () => tried(async () => {
  element("segment").disabled = true;
  const watch = setInterval(async () => say((await ask("progress")).line), 500);
  try {
    await send();
    const found = await ask("segment", { method: "POST" });
    clearInterval(watch);
    await showMask();
    element("lesions").replaceChildren(...found.lesions.map(lesion => {
      const item = document.createElement("li");
      item.textContent = `${lesion.volume.toFixed(1)} ml, SUVmax ${lesion.suv_max.toFixed(1)}`;
      item.addEventListener("click", () => {
        view.scene.crosshairPos = view.mm2frac(lesion.mm, 0);
        view.drawScene();
      });
      return item;
    }));
    element("projection").src = `projection.png?${Date.now()}`;
    const { computed, reused } = found.tiles;
    say(`${found.seconds.toFixed(1)} s, ${found.volume.toFixed(1)} ml, ${found.changed.toFixed(1)} ml changed; `
      + `${computed} tiles computed, ${reused} as before`);
    document.body.dataset.segmented = String(Number(document.body.dataset.segmented ?? 0) + 1);
  } finally {
    clearInterval(watch);
    element("segment").disabled = false;
  }
}));

element("save").addEventListener("click", () => tried(async () => {
  say(`saved ${(await ask("save", { method: "POST" })).join(", ")}`);
}));

window.petct = { view, get clicks() { return clicks; } }; // for tests, and for who opens the console
tried(open);

// The page: which models there are, which one is shown, and which picture it is asked about.

import { Board } from "./board.js";
import { find, tell } from "./dom.js";
import { Pad } from "./pad.js";
import { Pictures } from "./pictures.js";
import { ask, hasToken, keepToken, whenTokenIsNeeded } from "./service.js";

// How often the service is asked until everything is loaded.
const AGAIN_MS = 3000;
// Only small grey pictures can be drawn by hand.
const MOST_DRAWN_SIDE = 64;

let models = [];
let timer = 0;
let turn = 0;
// What the last answers depended on; when that changes, the picture is asked about again.
let asked = "";
const board = new Board(load);
const pad = new Pad(askAboutPicture);
const pictures = new Pictures(askAboutPicture, (words) => tell(find("trouble"), words));

const findModel = () => models.find((one) => one.name === find("model").value) ?? models[0];

function canBeDrawn(model) {
  const inputs = model.versions.map((one) => one.input).filter(Boolean);
  return inputs.length > 0 && inputs.every((one) => one.channels === 1 && Math.max(one.height, one.width) <= MOST_DRAWN_SIDE);
}

async function load() {
  clearTimeout(timer);
  try {
    const served = await ask("models");
    tell(find("problem"), served.length ? "" : "No model is served yet. This page keeps checking.");
    // What was shown stays where the service has no model any more.
    if (served.length) models = served;
    find("docs").hidden = hasToken();
    find("token").hidden = true;
  } catch (error) {
    if (error.status === 401) return;
    tell(find("problem"), `${error.message} This page keeps trying.`);
  }
  if (models.length) showModels();
  if (!models.length || !isWhole(findModel()) || !find("problem").hidden) timer = setTimeout(load, AGAIN_MS);
}

function isWhole(model) {
  return model.versions.some((one) => one.version === model.aliases.champion && one.loaded);
}

function showModels() {
  const wanted = find("model").value ? `#${encodeURIComponent(find("model").value)}` : location.hash;
  find("model").replaceChildren(...models.map((one) => new Option(one.name, one.name)));
  find("model").value = (models.find((one) => `#${encodeURIComponent(one.name)}` === wanted) ?? models[0]).name;
  find("model").hidden = models.length < 2;
  find("name").textContent = models[0].name;
  find("name").hidden = models.length > 1;
  find("main").hidden = false;
  showModel();
}

function showModel() {
  const model = findModel();
  document.title = `${model.name} · modelyard`;
  board.model = model;
  pictures.hasPad = canBeDrawn(model);
  const now = JSON.stringify([model.name, model.aliases.champion, isWhole(model), canBeDrawn(model)]);
  if (now === asked) return;
  asked = now;
  askAboutPicture();
  offerSamples(model);
}

async function offerSamples(model) {
  const number = model.aliases.champion ?? model.versions.at(-1)?.version;
  const found = await ask(`models/${encodeURIComponent(model.name)}/versions/${number}/samples`).catch(() => null);
  if (findModel().name === model.name) pictures.samples = found?.samples ?? [];
}

async function askAboutPicture() {
  const mine = ++turn;
  const model = findModel();
  // A picture can be dropped before the models are known; showModel asks about it then.
  if (!model) return;
  const drawn = canBeDrawn(model) && !pad.isEmpty && !pictures.chosen ? { blob: await pad.picture() } : null;
  if (mine !== turn) return;
  const words = canBeDrawn(model) ? "Draw something, or add a picture." : "Add a picture to see the answer here.";
  board.show(pictures.chosen ?? drawn, words);
}

find("model").addEventListener("change", () => {
  history.replaceState(null, "", `#${encodeURIComponent(find("model").value)}`);
  showModel();
  if (!isWhole(findModel())) load();
});

find("token").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(find("secret").value.trim());
  find("secret").value = "";
  load();
});

whenTokenIsNeeded((wasWrong) => {
  find("main").hidden = true;
  find("token").hidden = false;
  tell(find("problem"), wasWrong ? "The service does not accept this token. Try another." : "");
  find("secret").focus();
});

await load();

// The versions that are asked, the champion first, and where they disagree.

import { Answer, describeAnswer } from "./answer.js";
import { writeCurl } from "./curl.js";
import { find, make } from "./dom.js";
import { showTime } from "./numbers.js";
import { askWithId, hasToken } from "./service.js";

const CHAMPION = "champion";
// Up to FEW labels are all shown, in a fixed order; of more, only the BEST are, ranked.
const FEW = 20;
const BEST = 5;

export class Board {
  #model = null;
  #picture = null;
  #entries = new Map();
  #words = "";
  #onNews;

  // `onNews` is called when an answer shows that GET /models has changed.
  constructor(onNews) {
    this.#onNews = onNews;
    find("compare").addEventListener("change", () => this.#add(find("compare").value));
  }

  // Show a model as GET /models describes it.
  set model(model) {
    if (model.name !== this.#model?.name) {
      for (const key of [...this.#entries.keys()]) this.#drop(key);
    }
    this.#model = model;
    if (!this.#entries.has(CHAMPION)) this.#add(CHAMPION);
    for (const [key, entry] of this.#entries) this.#describe(key, entry);
    this.#offer();
  }

  // Ask every version about a picture, {blob, name?}; without one, `words` say what to do.
  show(picture, words) {
    this.#picture = picture;
    this.#words = words;
    for (const [key, entry] of this.#entries) this.#ask(key, entry);
  }

  #add(key) {
    const copy = () => this.#writeCurl(key);
    const card = new Answer(copy, key === CHAMPION ? null : () => this.#drop(key));
    const entry = { card, call: null, answer: null };
    this.#entries.set(key, entry);
    find("cards").append(card.element);
    this.#describe(key, entry);
    this.#offer();
    this.#ask(key, entry);
  }

  #drop(key) {
    const { card, call } = this.#entries.get(key);
    call?.abort();
    card.element.remove();
    this.#entries.delete(key);
    this.#offer();
    find("compare").focus();
  }

  #offer() {
    const aliases = Object.keys(this.#model.aliases).filter((alias) => alias !== CHAMPION);
    const numbers = this.#model.versions.map((one) => String(one.version)).reverse();
    const keys = [...aliases.sort(), ...numbers].filter((key) => !this.#entries.has(key));
    const options = keys.map((key) => new Option(this.#nameVersion(key), key));
    find("compare").replaceChildren(new Option("a version", ""), ...options);
    find("compare").parentElement.hidden = !keys.length;
  }

  // A key is a version's number or an alias, which MLflow does not let be a number.
  #findVersion(key) {
    const number = this.#model.aliases[key] ?? Number(key);
    return this.#model.versions.find((one) => one.version === number);
  }

  #nameVersion(key) {
    const version = this.#findVersion(key);
    if (key in this.#model.aliases) return `${key}, version ${version?.version ?? "unknown"}`;
    return key === CHAMPION ? "No champion" : `version ${key}`;
  }

  #describe(key, entry) {
    const name = this.#nameVersion(key);
    entry.card.describe(name[0].toUpperCase() + name.slice(1), this.#findVersion(key));
  }

  #path(key) {
    const chosen = key in this.#model.aliases ? `/aliases/${encodeURIComponent(key)}` : `/versions/${key}`;
    return `models/${encodeURIComponent(this.#model.name)}${key === CHAMPION ? "" : chosen}/predict`;
  }

  get #hasFewLabels() {
    return this.#model.labels.length > 0 && this.#model.labels.length <= FEW;
  }

  async #ask(key, entry) {
    entry.call?.abort();
    entry.answer = null;
    const { card } = entry;
    const version = this.#findVersion(key);
    card.canCopy = Boolean(this.#picture && version);
    if (!version) return card.clear(this.#sayHowToPromote());
    if (!this.#picture) return card.clear(this.#words);
    if (!version.loaded) card.clear("This version is being loaded.");
    card.wait();
    const call = (entry.call = new AbortController());
    const started = performance.now();
    try {
      const { body: found, id } = await this.#send(key, call.signal);
      entry.answer = found.predictions[0];
      const rows = this.#hasFewLabels ? entry.answer.toSorted((one, other) => one.id - other.id) : entry.answer;
      const time = showTime(performance.now() - started) + (version.loaded ? "" : ", with loading");
      card.show(entry.answer, rows, found.inputs?.[0], time);
      if (key === CHAMPION) card.askWhetherRight(id, entry.answer[0].label, this.#model.labels);
      if (found.version !== version.version || !version.loaded) this.#onNews();
    } catch (error) {
      if (call.signal.aborted) return;
      card.fail(explain(error));
    }
    this.#compare();
  }

  async #send(key, signal) {
    const { blob } = this.#picture;
    const send = (count) =>
      askWithId(`${this.#path(key)}?top_k=${count}&show=input`, {
        method: "POST",
        body: blob,
        headers: { "Content-Type": blob.type },
        signal,
      });
    const count = this.#hasFewLabels ? this.#model.labels.length : BEST;
    try {
      return await send(count);
    } catch (error) {
      // A version may have fewer labels than the champion; BEST are always allowed.
      if (error.status === 400 && error.message.startsWith("top_k")) return send(BEST);
      throw error;
    }
  }

  #compare() {
    const [champion, ...others] = this.#entries.values();
    const first = champion.answer?.[0].label;
    for (const { card, answer } of others) card.differs = Boolean(first && answer && answer[0].label !== first);
    const told = [...this.#entries].filter(([, { answer }]) => answer);
    const lines = told.map(([key, { answer: [best] }]) => `${this.#nameVersion(key)}: ${best.label}, ${describeAnswer(best)}`);
    find("announce").replaceChildren(...lines.map((line) => make("span", "", `${line} `)));
  }

  #sayHowToPromote() {
    const newest = this.#model.versions.at(-1)?.version ?? "VERSION";
    return `No version of ${this.#model.name} is champion. To make one: modelyard promote ${this.#model.name} ${newest}`;
  }

  #writeCurl(key) {
    const count = this.#hasFewLabels ? this.#model.labels.length : BEST;
    const address = new URL(`${this.#path(key)}?top_k=${count}`, document.baseURI).href;
    return this.#picture && writeCurl(address, this.#picture, hasToken());
  }
}

function explain(error) {
  if (error.index === undefined) return error.message;
  return `This picture cannot be read: ${error.message.replace(/^image \d+: /, "")}.`;
}

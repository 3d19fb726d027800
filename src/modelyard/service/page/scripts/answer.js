// One version: what it is, what it answers, and what it saw.

import { make, makeButton } from "./dom.js";
import { Feedback } from "./feedback.js";
import { LEAST_SURE, listAccuracy, showShare, showSize, UNLIKE } from "./numbers.js";

export class Answer {
  #title = make("h3");
  #network = make("p");
  #difference = make("p", "difference");
  #verdict = make("div", "verdict");
  #rows = make("ol", "rows");
  #facts = make("dl", "facts");
  #footer = make("footer");
  #feedback = new Feedback();
  #command = make("textarea");
  #version = null;
  #time = "";

  // `onCopy` gives the command to copy, or null; without `onRemove` the card stays.
  constructor(onCopy, onRemove) {
    const header = make("header", "", make("div", "", this.#title, this.#network));
    if (onRemove) header.append(makeButton("Remove", "quiet", onRemove));
    const copy = makeButton("Copy as curl", "quiet", async () => this.#copy(copy, await onCopy()));
    this.#footer.append(this.#feedback.element, copy);
    Object.assign(this.#command, { readOnly: true, hidden: true, rows: 4, ariaLabel: "Command" });
    this.#difference.hidden = true;
    this.element = make("article", "card", header, this.#difference, this.#verdict, this.#rows, this.#facts);
    this.element.append(this.#footer, this.#command);
  }

  describe(title, version) {
    this.#title.textContent = title;
    this.#version = version;
    this.#network.textContent = [version?.network, version?.precision].filter(Boolean).join(", ");
    this.#footer.querySelector("a")?.remove();
    if (version?.card) this.#footer.append(makeLink("Card in MLflow", version.card));
    this.#listFacts();
  }

  wait() {
    this.element.classList.add("waiting");
    this.element.ariaBusy = "true";
  }

  clear(words) {
    this.#settle("", make("p", "empty", words));
    this.#rows.replaceChildren();
  }

  fail(words) {
    this.#settle("", make("p", "failed", words));
    this.#rows.replaceChildren();
  }

  // `answer` is ranked; `rows` are in the order in which they are shown.
  show(answer, rows, input, time) {
    const label = make("p", `label ${chooseSize(answer[0].label)}`, answer[0].label);
    const said = make("div", "", label, make("p", "sure", describeScore(answer[0].score)));
    const unlike = describeUnlikeness(answer[0]);
    if (unlike) said.append(make("p", "unlike", unlike));
    this.#settle(time, said);
    if (input) this.#verdict.append(makeSaw(input));
    this.#showRows(rows, answer[0].id);
  }

  // Ask whether the answer with an id is right; `labels` are all that it could have been.
  askWhetherRight(id, best, labels) {
    this.#feedback.offer(id, best, labels);
  }

  set differs(is) {
    this.element.classList.toggle("differs", is);
    this.#difference.textContent = is ? "Disagrees with the champion" : "";
    this.#difference.hidden = !is;
  }

  #settle(time, content) {
    this.element.classList.remove("waiting");
    this.element.ariaBusy = "false";
    this.differs = false;
    this.#time = time;
    this.#feedback.hide();
    this.#verdict.replaceChildren(content);
    this.#listFacts();
  }

  #showRows(answers, best) {
    const ids = answers.map((one) => one.id).join();
    if (this.#rows.dataset.ids !== ids || !this.#rows.children.length) {
      this.#rows.dataset.ids = ids;
      this.#rows.replaceChildren(...answers.map(makeRow));
    }
    answers.forEach((one, place) => {
      const row = this.#rows.children[place];
      row.classList.toggle("best", one.id === best);
      row.querySelector(".bar").style.width = `${100 * one.score}%`;
      row.querySelector(".value").textContent = showShare(one.score);
    });
  }

  #listFacts() {
    const metrics = this.#version?.metrics ?? {};
    const facts = this.#version ? listAccuracy(metrics) : [];
    if (metrics["test/errors"] !== undefined) facts.push(["Errors", metrics["test/errors"].toLocaleString("en")]);
    if (this.#version?.size_bytes) facts.push(["Size", showSize(this.#version.size_bytes)]);
    if (this.#time) facts.push(["Answered in", this.#time]);
    this.#facts.replaceChildren(...facts.flatMap(([what, value]) => [make("dt", "", what), make("dd", "", value)]));
    this.#facts.hidden = !facts.length;
  }

  // Over plain http the browser gives no access to the clipboard, so the command is shown to be copied by hand.
  async #copy(button, command) {
    if (!command) return;
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy as curl"), 2000);
    } catch {
      this.#command.hidden = false;
      this.#command.value = command;
      this.#command.select();
    }
  }

  set canCopy(can) {
    this.#footer.querySelector(":scope > button").hidden = !can;
    if (!can) this.#command.hidden = true;
  }
}

// The best label's score and, if there is anything to say, how unlike the training pictures the picture is.
export function describeAnswer(best) {
  return `${describeScore(best.score)}. ${describeUnlikeness(best)}`;
}

function describeScore(score) {
  return score < LEAST_SURE ? `unsure, ${showShare(score)}` : showShare(score);
}

function describeUnlikeness({ unlikeness }) {
  if (!(unlikeness >= UNLIKE)) return "";
  return `Unlike the training pictures: ${showShare(unlikeness)} of the validation pictures are more like them.`;
}

function chooseSize(label) {
  return label.length <= 2 ? "sign" : label.length <= 10 ? "short" : "";
}

function makeRow(answer) {
  const track = make("span", "track", make("div", "bar"));
  track.ariaHidden = "true";
  return make("li", "", make("span", "what", answer.label), track, make("span", "value"));
}

function makeSaw(input) {
  const image = make("img");
  image.src = `data:image/png;base64,${input}`;
  image.alt = "";
  return make("figure", "saw", image, make("figcaption", "", "What the network saw"));
}

function makeLink(words, address) {
  const link = make("a", "", words);
  Object.assign(link, { href: address, target: "_blank", rel: "noreferrer" });
  return link;
}

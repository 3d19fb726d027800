// What a picture really is, said by a person: a click where the answer is right, a choice where it is not.

import { make, makeButton } from "./dom.js";
import { ask } from "./service.js";

// A service that records its answers marks their ids; only those can be told about.
const RECORDED = /^[0-9A-Za-z]+-[0-9]+-[0-9]+-[0-9a-f]{16}$/;

export class Feedback {
  element = make("div", "feedback");
  #right = makeButton("Right", "", () => this.#send(this.#best));
  #choice = make("select");
  #told = make("span", "note");
  #id = "";
  #best = "";

  constructor() {
    this.#choice.ariaLabel = "The right label";
    this.#choice.addEventListener("change", () => this.#send(this.#choice.value));
    this.#told.role = "status";
    this.element.append(make("span", "note", "Is this right?"), this.#right, this.#choice, this.#told);
    this.hide();
  }

  // Offer to say whether the answer with an id is right; it was `best`, one of `labels`.
  offer(id, best, labels) {
    this.element.hidden = !RECORDED.test(id);
    this.#id = id;
    this.#best = best;
    this.#told.textContent = "";
    const others = labels.filter((label) => label !== best).map((label) => new Option(label, label));
    this.#choice.replaceChildren(new Option("No, it is", "", true, true), ...others);
    this.#choice.hidden = !others.length;
  }

  hide() {
    this.element.hidden = true;
  }

  async #send(label) {
    if (!label) return;
    const id = this.#id;
    const body = JSON.stringify({ id, index: 0, label });
    const words = await ask("feedback", { method: "POST", body, headers: { "Content-Type": "application/json" } }).then(
      () => `Noted: ${label}.`,
      (error) => error.message,
    );
    if (id === this.#id) this.#told.textContent = words;
  }
}

// Pictures that a person drops, pastes, chooses or takes; one of them is shown.

import { find, make, makeButton } from "./dom.js";
import { hasCameraButton, takePicture, whyNoWebcam } from "./webcam.js";

const SENT_AS_THEY_ARE = ["image/png", "image/jpeg"];
const MOST = 60;

export class Pictures {
  #given = [];
  #samples = [];
  #chosen = null;
  #hasPad = false;
  #onChoice;
  #onProblem;

  // `onChoice` is called whenever another picture is chosen; `onProblem` with a sentence, or "".
  constructor(onChoice, onProblem) {
    this.#onChoice = onChoice;
    this.#onProblem = onProblem;
    this.#offerFiles();
    this.#offerCameras();
    this.#acceptDrops();
    document.addEventListener("paste", (event) => this.#add(event.clipboardData?.files ?? []));
    find("remove").addEventListener("click", () => this.#remove());
    find("shown").addEventListener("error", () => find("shown").classList.add("broken"));
  }

  // The chosen picture, {name, blob, url}; null if it is the pad's, or there is none.
  get chosen() {
    return this.#chosen;
  }

  // Whether the model's pictures can be drawn.
  set hasPad(has) {
    this.#hasPad = has;
    this.#show();
  }

  // The model's sample pictures, {name, image}, with `image` in base64.
  set samples(samples) {
    for (const { url } of this.#samples) URL.revokeObjectURL(url);
    if (this.#samples.includes(this.#chosen)) this.#choose(null);
    this.#samples = samples.map(({ name, image }) => {
      const bytes = Uint8Array.from(atob(image), (one) => one.charCodeAt(0));
      const blob = new Blob([bytes], { type: name.endsWith(".png") ? "image/png" : "image/jpeg" });
      return { name, blob, url: URL.createObjectURL(blob) };
    });
    this.#show();
  }

  #offerFiles() {
    for (const [button, input] of [["choose", "files"], ["photo", "camera"]]) {
      find(button).addEventListener("click", () => find(input).click());
      find(input).addEventListener("change", () => {
        this.#add([...find(input).files]);
        find(input).value = "";
      });
    }
  }

  #offerCameras() {
    find("photo").hidden = !hasCameraButton();
    if (hasCameraButton()) return;
    const reason = whyNoWebcam();
    find("webcam").hidden = Boolean(reason);
    find("why-no-webcam").textContent = reason;
    find("why-no-webcam").hidden = !reason;
    find("webcam").addEventListener("click", async () => {
      try {
        const blob = await takePicture();
        if (blob) this.#add([new File([blob], "webcam.jpg", { type: blob.type })]);
      } catch (error) {
        this.#onProblem(error.message);
      }
    });
  }

  #acceptDrops() {
    const mark = (is) => document.body.classList.toggle("dropping", is);
    addEventListener("dragover", (event) => {
      event.preventDefault();
      mark(true);
    });
    addEventListener("dragleave", (event) => event.relatedTarget ?? mark(false));
    addEventListener("drop", (event) => {
      event.preventDefault();
      mark(false);
      const files = [...event.dataTransfer.files];
      if (files.length) this.#add(files);
      else this.#onProblem("That was a link or text. Save the picture and drop its file.");
    });
  }

  async #add(files) {
    if (!files.length) return;
    this.#onProblem("");
    const added = [];
    for (const file of [...files].slice(0, MOST)) {
      try {
        const blob = await toSendable(file);
        added.push({ name: file.name, blob, url: URL.createObjectURL(blob) });
      } catch (error) {
        this.#onProblem(error.message);
      }
    }
    if (!added.length) return;
    this.#given.push(...added);
    for (const old of this.#given.splice(0, this.#given.length - MOST)) URL.revokeObjectURL(old.url);
    this.#choose(added[0]);
  }

  #choose(picture) {
    this.#chosen = picture;
    this.#show();
    this.#onChoice();
  }

  #remove() {
    const place = this.#given.indexOf(this.#chosen);
    if (place < 0) return this.#choose(null);
    URL.revokeObjectURL(this.#chosen.url);
    this.#given.splice(place, 1);
    this.#choose(this.#given[Math.min(place, this.#given.length - 1)] ?? null);
  }

  #show() {
    const picture = this.#chosen;
    find("pad").hidden = !this.#hasPad || picture !== null;
    find("nothing").hidden = this.#hasPad || picture !== null;
    find("preview").hidden = picture === null;
    if (picture) {
      find("shown").classList.remove("broken");
      find("shown").src = picture.url;
      find("shown-name").textContent = picture.name;
    }
    const buttons = this.#given.map((one) => this.#makeThumbnail(one));
    if (this.#hasPad) buttons.unshift(this.#makeChoice("Drawing", null));
    find("strip").replaceChildren(...buttons);
    find("strip").hidden = this.#given.length + this.#hasPad < 2 && !(this.#hasPad && picture);
    find("sample-strip").replaceChildren(...this.#samples.map((one) => this.#makeThumbnail(one)));
    find("samples").hidden = !this.#samples.length;
  }

  #makeThumbnail(picture) {
    const image = make("img");
    image.src = picture.url;
    image.alt = picture.name;
    return this.#makeChoice(image, picture);
  }

  #makeChoice(content, picture) {
    const button = makeButton(content, "", () => {
      this.#choose(picture);
      document.querySelector(".strip [aria-pressed=true]")?.focus();
    });
    button.ariaPressed = String(picture === this.#chosen);
    return button;
  }
}

// The service reads PNG and JPEG; any other picture that the browser can show becomes a PNG.
async function toSendable(file) {
  if (SENT_AS_THEY_ARE.includes(file.type)) return file;
  const image = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} is not a picture that this browser can open: use a PNG or JPEG.`);
  });
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return new Promise((give) => canvas.toBlob(give, "image/png"));
}

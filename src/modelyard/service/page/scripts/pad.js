// The drawing pad: a white square, a round black pen, and strokes that can be taken back.

import { find } from "./dom.js";

const WAIT_MS = 150;
const STEP = 10;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pad {
  #canvas = find("canvas");
  #brush = this.#canvas.getContext("2d");
  #strokes = [];
  #open = null;
  #pen = { x: 140, y: 140, down: false };
  #timer = 0;
  #onChange;

  // `onChange` is called a moment after each stroke, and as soon as the pad is empty.
  constructor(onChange) {
    this.#onChange = onChange;
    this.#canvas.addEventListener("pointerdown", (event) => this.#start(event));
    this.#canvas.addEventListener("pointermove", (event) => this.#follow(event));
    for (const kind of ["pointerup", "pointercancel"]) this.#canvas.addEventListener(kind, () => this.#end());
    this.#canvas.addEventListener("keydown", (event) => this.#press(event));
    find("undo").addEventListener("click", () => this.#undo());
    find("clear").addEventListener("click", () => this.clear());
    this.#draw();
    this.#movePen(0, 0);
  }

  get isEmpty() {
    return this.#strokes.length === 0;
  }

  picture() {
    return new Promise((give) => this.#canvas.toBlob(give, "image/png"));
  }

  clear() {
    this.#strokes = [];
    this.#change();
  }

  #undo() {
    this.#strokes.pop();
    this.#change();
  }

  #start(event) {
    if (event.button !== 0 || this.#open) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#begin(this.#place(event));
  }

  #follow(event) {
    if (!this.#open) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) this.#open.points.push(this.#place(one));
    this.#draw();
  }

  #end() {
    if (!this.#open) return;
    this.#open = null;
    this.#change();
  }

  #begin(point) {
    this.#open = { width: find("width").valueAsNumber, points: [point] };
    this.#strokes.push(this.#open);
    this.#draw();
  }

  #place(event) {
    const frame = this.#canvas.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  #press(event) {
    const move = MOVES[event.key];
    if (move) this.#movePen(...move);
    else if (event.key === " ") this.#toggle();
    else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.#undo();
    else return;
    event.preventDefault();
  }

  #toggle() {
    this.#pen.down = !this.#pen.down;
    if (this.#pen.down) this.#begin([this.#pen.x, this.#pen.y]);
    else this.#end();
    this.#movePen(0, 0);
  }

  #movePen(right, down) {
    const within = (place) => Math.min(Math.max(place, 0), this.#canvas.width);
    this.#pen.x = within(this.#pen.x + STEP * right);
    this.#pen.y = within(this.#pen.y + STEP * down);
    const mark = find("pen");
    mark.style.left = `${this.#pen.x}px`;
    mark.style.top = `${this.#pen.y}px`;
    mark.classList.toggle("down", this.#pen.down);
    if (this.#pen.down && (right || down)) {
      this.#open.points.push([this.#pen.x, this.#pen.y]);
      this.#change();
    }
  }

  #change() {
    this.#draw();
    clearTimeout(this.#timer);
    if (this.isEmpty) {
      this.#open = null;
      this.#pen.down = false;
      find("pen").classList.remove("down");
    }
    this.#timer = setTimeout(() => this.#onChange(), this.isEmpty ? 0 : WAIT_MS);
  }

  #draw() {
    const { width, height } = this.#canvas;
    this.#brush.fillStyle = "#fff";
    this.#brush.fillRect(0, 0, width, height);
    Object.assign(this.#brush, { strokeStyle: "#000", lineCap: "round", lineJoin: "round" });
    for (const stroke of this.#strokes) {
      this.#brush.lineWidth = stroke.width;
      this.#brush.beginPath();
      this.#brush.moveTo(...stroke.points[0]);
      // A line of no length is a dot.
      for (const point of stroke.points) this.#brush.lineTo(...point);
      this.#brush.stroke();
    }
    find("hint").hidden = !this.isEmpty;
    for (const id of ["undo", "clear"]) find(id).disabled = this.isEmpty;
  }
}

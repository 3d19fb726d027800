// Elements: found by their id, and made with texts that are never markup.

export const find = (id) => document.getElementById(id);

export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

export function makeButton(words, className, act) {
  const button = make("button", className, words);
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

export function tell(element, words) {
  element.textContent = words;
  element.hidden = !words;
}

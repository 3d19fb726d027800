// A picture from the webcam, or a sentence that says why there is none.

import { find } from "./dom.js";

export const hasCameraButton = () => matchMedia("(pointer: coarse)").matches;

export function whyNoWebcam() {
  if (!window.isSecureContext) return "The webcam works only over https, or on the machine that serves this page.";
  return navigator.mediaDevices?.getUserMedia ? "" : "This browser does not allow access to a webcam.";
}

// Returns a JPEG, or null where the person cancelled.
export async function takePicture() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: true }).catch(explain);
  const [video, dialog] = [find("video"), find("viewfinder")];
  // Before its first picture there is nothing to take.
  find("shoot").disabled = true;
  video.onplaying = () => (find("shoot").disabled = false);
  video.srcObject = stream;
  dialog.showModal();
  try {
    return (await waitForChoice(dialog)) ? await grab(video) : null;
  } finally {
    dialog.close();
    video.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  }
}

function explain(error) {
  const refused = error.name === "NotAllowedError";
  throw new Error(refused ? "The browser was not allowed to use the webcam." : "No webcam was found.");
}

function waitForChoice(dialog) {
  return new Promise((give) => {
    find("shoot").onclick = () => give(true);
    find("leave").onclick = () => give(false);
    dialog.onclose = () => give(false);
  });
}

function grab(video) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((give) => canvas.toBlob(give, "image/jpeg", 0.92));
}

// The request that the page makes, as a command for a shell.

const MOST_INLINE_BYTES = 16_000;

export async function writeCurl(address, picture, asksForToken) {
  const lines = [`curl -s ${quote(address)}`];
  // The token itself would end up in the shell's history.
  if (asksForToken) lines.push(`-H "Authorization: Bearer $MODELYARD_TOKEN"`);
  // A small picture is part of the command: a drawing or a sample is not a file on this machine.
  if (picture.blob.size > MOST_INLINE_BYTES) {
    lines.push(`-H ${quote(`Content-Type: ${picture.blob.type}`)}`, `--data-binary ${quote(`@${safeName(picture.name ?? "drawing.png")}`)}`);
  } else {
    const image = await toBase64(picture.blob);
    lines.push("-H 'Content-Type: application/json'", `-d ${quote(JSON.stringify({ image }))}`);
  }
  return lines.join(" \\\n  ");
}

const quote = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

// A terminal obeys even pasted control characters.
const safeName = (name) => name.replaceAll(/[^ -~\u00a1-\uffff]/g, "?");

async function toBase64(blob) {
  const reader = new FileReader();
  reader.readAsDataURL(blob);
  await new Promise((done) => (reader.onload = done));
  return reader.result.slice(reader.result.indexOf(",") + 1);
}

// Requests to the service, with the token of this session where there is one.

const KEY = "modelyard.token";
let onRefused = () => {};

export class ServiceError extends Error {
  constructor(status, words, index) {
    super(words);
    Object.assign(this, { status, index });
  }
}

export const hasToken = () => sessionStorage.getItem(KEY) !== null;
export const keepToken = (token) => sessionStorage.setItem(KEY, token);

// `act` is called when a token is needed, with whether one was given and is wrong.
export function whenTokenIsNeeded(act) {
  onRefused = act;
}

export async function ask(path, options = {}) {
  return (await askWithId(path, options)).body;
}

// Gives the answer's body, and the id under which the service knows it.
export async function askWithId(path, options = {}) {
  const headers = new Headers(options.headers);
  if (hasToken()) headers.set("Authorization", `Bearer ${sessionStorage.getItem(KEY)}`);
  const response = await send(path, { ...options, headers });
  // A proxy in front of the service may answer with something else.
  const body = await response.json().catch((error) => (error.name === "AbortError" ? Promise.reject(error) : {}));
  if (response.ok) return { body, id: response.headers.get("X-Request-ID") ?? "" };
  if (response.status === 401) {
    onRefused(hasToken());
    sessionStorage.removeItem(KEY);
  }
  throw new ServiceError(response.status, body.error ?? `The service answered with status ${response.status}.`, body.index);
}

async function send(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceError(0, "The service does not answer.");
  }
}

// @ts-check
/**
 * The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), by WebCrypto: nothing that goes over the
 * wire lets anybody log in, and the server proves that it knows the password too.
 */

const GS2_HEADER = "n,,"; // no channel binding, no other identity

/** RFC 7677 asks for no fewer; with less work a recorded login would be easier to guess from. */
const ITERATIONS_MIN = 4_096;
/** Some seconds of a slow phone: a server that asks for more only wants to keep it busy. */
const ITERATIONS_MAX = 1_000_000;

const SERVER_FIRST = /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]*)(?:,.*)?$/;

const encoder = new TextEncoder();

/** WebCrypto's hashes and keys. @returns {SubtleCrypto} @throws {Error} There are none here. */
export function subtleCrypto() {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) {
    throw new Error(
      "this page cannot compute the login: browsers have SubtleCrypto in secure contexts only; " +
        "open it over https://, or from localhost",
    );
  }
  return subtle;
}

/** One login. */
export class ScramClient {
  #password;
  #nonce;
  #firstBare;
  /** The server's proof, as it has to be. @type {string | null} */
  #signature = null;

  /**
   * @param {string} user as it is configured, not normalised: the server compares it as it is
   * @param {string} password
   * @param {string} [nonce] for tests; random otherwise
   */
  constructor(user, password, nonce = randomNonce()) {
    this.#password = password;
    this.#nonce = nonce;
    this.#firstBare = `n=${user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
  }

  /** @returns {string} the client-first-message */
  first() {
    return GS2_HEADER + this.#firstBare;
  }

  /**
   * @param {unknown} serverFirst the server-first-message
   * @returns {Promise<string>} the client-final-message, which proves the password
   * @throws {Error} It is none, or not an answer to ours.
   */
  async final(serverFirst) {
    const [, nonce, salt, count] = SERVER_FIRST.exec(String(serverFirst)) ?? [];
    if (nonce === undefined || !nonce.startsWith(this.#nonce) || nonce === this.#nonce) {
      throw new Error("the server's challenge is no answer to this login");
    }
    const iterations = Number(count);
    if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX) {
      throw new Error(`the server asks for ${count} iterations; ${ITERATIONS_MIN} to ${ITERATIONS_MAX} are taken`);
    }
    const withoutProof = `c=${btoa(GS2_HEADER)},r=${nonce}`;
    const authMessage = `${this.#firstBare},${serverFirst},${withoutProof}`;
    const salted = await saltedPassword(saslPrep(this.#password), fromBase64(salt), iterations);
    const clientKey = await hmac(salted, "Client Key");
    const storedKey = new Uint8Array(await subtleCrypto().digest("SHA-256", clientKey));
    const clientSignature = await hmac(storedKey, authMessage);
    this.#signature = toBase64(await hmac(await hmac(salted, "Server Key"), authMessage));
    return `${withoutProof},p=${toBase64(clientKey.map((byte, index) => byte ^ clientSignature[index]))}`;
  }

  /**
   * @param {unknown} serverFinal the server-final-message
   * @throws {Error} It does not prove that the server knows the password.
   */
  verify(serverFinal) {
    if (this.#signature === null || serverFinal !== `v=${this.#signature}`) {
      throw new Error("the server did not prove that it knows the password: it may be another one in its place");
    }
  }
}

/** Not ASCII's, mapped to the blank (RFC 3454 C.1.2), but for U+200B, which is mapped to nothing. */
const BLANKS = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g;
/** Mapped to nothing (RFC 3454 B.1). */
const NOTHING = /[\u00ad\u034f\u1806\u180b-\u180d\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]/g;
/** Control, formatting and private characters, halves of surrogate pairs, and what is no character. */
const FORBIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\u0340\u0341\u2ff0-\u2ffb\ufffc\ufffd]/u;

/**
 * A password as SASLprep (RFC 4013) has it: blanks and normal form NFKC, so that the same password typed
 * on two keyboards is the same. Text that runs both ways and characters younger than Unicode 3.2 are not
 * refused here: a server that follows the RFC has no SCRAM for them, and says that the login is wrong.
 * @param {string} password
 * @returns {string}
 * @throws {Error} It holds a character that no such password may hold.
 */
export function saslPrep(password) {
  const prepared = password.replace(NOTHING, "").replace(BLANKS, " ").normalize("NFKC");
  if (FORBIDDEN.test(prepared)) {
    throw new Error("the password holds a control or another forbidden character, which SCRAM cannot use (RFC 4013)");
  }
  return prepared;
}

/**
 * @param {string} password
 * @param {Uint8Array<ArrayBuffer>} salt
 * @param {number} iterations
 */
async function saltedPassword(password, salt, iterations) {
  const subtle = subtleCrypto();
  const key = await subtle.importKey("raw", encoder.encode(password), "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(await subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256));
}

/**
 * @param {Uint8Array<ArrayBuffer>} key
 * @param {string} text
 */
async function hmac(key, text) {
  const subtle = subtleCrypto();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return new Uint8Array(await subtle.sign(algorithm, imported, encoder.encode(text)));
}

function randomNonce() {
  subtleCrypto(); // says in words what is missing where nothing of it is there
  return toBase64(crypto.getRandomValues(new Uint8Array(18)));
}

/** @param {Uint8Array} bytes */
function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

/** @param {string} text */
function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// @ts-check
/** The two ways to log in, as the messages that they send. */

import { ScramClient, subtleCrypto } from "./scram.mjs";

/**
 * @typedef {object} Login
 * @property {() => Promise<Record<string, unknown>>} begin the first message
 * @property {(data: unknown) => Promise<Record<string, unknown>>} answer the answer to a challenge
 * @property {(data: unknown) => void} verify throws where a success does not prove the server
 * @property {() => void} overhear throws where nothing but the login may be heard before its end
 */

/**
 * @param {{ method?: "scram" | "token", password: string, publicKeyPart: string }} credentials
 * @returns {Login} for one connection
 */
export function makeLogin({ method = "scram", password, publicKeyPart }) {
  return method === "token" ? tokenLogin(password, publicKeyPart) : scramLogin(password, publicKeyPart);
}

/**
 * The token that proves the password: the SHA-256 of password and key part, in lower-case hex.
 * It is as good as the password.
 * @param {string} password
 * @param {string} publicKeyPart
 * @returns {Promise<string>}
 */
export async function generateAuthToken(password, publicKeyPart) {
  if (!password || !publicKeyPart) {
    throw new Error("password and public key part are both needed");
  }
  const bytes = new TextEncoder().encode(password + publicKeyPart);
  const digest = new Uint8Array(await subtleCrypto().digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} password
 * @param {string} publicKeyPart
 * @returns {Login}
 */
function tokenLogin(password, publicKeyPart) {
  return {
    async begin() {
      return { type: "auth", token: await generateAuthToken(password, publicKeyPart), public_key_part: publicKeyPart };
    },
    async answer() {
      throw new Error("the server sent a challenge that nobody asked for");
    },
    verify() {}, // this way proves nothing of the server
    overhear() {},
  };
}

/**
 * @param {string} password
 * @param {string} publicKeyPart
 * @returns {Login}
 */
function scramLogin(password, publicKeyPart) {
  /** @type {ScramClient} */
  let client;
  let isAnswered = false; // each answer is some 100 ms of work, or seconds if the server asks for it
  return {
    async begin() {
      client = new ScramClient(publicKeyPart, password);
      return { type: "hello", mechanism: "SCRAM-SHA-256", data: client.first() };
    },
    async answer(data) {
      if (isAnswered) {
        throw new Error("the server sent a second challenge, which would only keep this client busy");
      }
      isAnswered = true;
      return { type: "auth", data: await client.final(data) };
    },
    verify(data) {
      client.verify(data);
    },
    overhear() {
      throw new Error(
        "the server did not prove that it knows the password: what answered is not this server, or not as this " +
          "protocol has it; is another program on that address?",
      );
    },
  };
}

/** Hosts of this machine alone, as URLs have them. */
const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\])$/;

/**
 * @param {{ url: string, method?: string, allowPlaintextToken?: boolean }} options
 * @throws {Error} The token would go over a wire that others can read.
 */
export function checkPrivacy({ url, method, allowPlaintextToken = false }) {
  if (method !== "token" || allowPlaintextToken) {
    return;
  }
  const { protocol, hostname } = new URL(url);
  if (protocol === "ws:" && !LOOPBACK.test(hostname)) {
    throw new Error(
      "the token is as good as the password for whoever sees it, and ws:// shows it to everybody between here and " +
        'there: use wss:// or method "scram", or pass allowPlaintextToken',
    );
  }
}

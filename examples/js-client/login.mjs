// @ts-check
/** The two ways to log in, as the messages that they send. */

import { ScramClient, subtleCrypto } from "./scram.mjs";

/**
 * @typedef {object} Login
 * @property {() => Promise<Record<string, unknown>>} begin the first message
 * @property {(data: unknown) => Promise<Record<string, unknown>>} answer the answer to a challenge
 * @property {(data: unknown) => void} verify throws where a success does not prove the server
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
  return {
    async begin() {
      client = new ScramClient(publicKeyPart, password);
      return { type: "hello", mechanism: "SCRAM-SHA-256", data: client.first() };
    },
    async answer(data) {
      return { type: "auth", data: await client.final(data) };
    },
    verify(data) {
      client.verify(data);
    },
  };
}

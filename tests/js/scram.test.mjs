// @ts-check
import assert from "node:assert/strict";
import test from "node:test";

import { saslPrep, ScramClient } from "../../examples/js-client/scram.mjs";

/** The exchange of RFC 7677 section 3. */
const NONCE = "rOprNGfwEbeRWgbNEkqO";
const BOTH = `${NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0`;
const SERVER_FIRST = `r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;
const SERVER_FINAL = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

const client = () => new ScramClient("user", "pencil", NONCE);

test("the exchange of the RFC", async () => {
  const subject = client();
  assert.equal(subject.first(), `n,,n=user,r=${NONCE}`);
  assert.equal(await subject.final(SERVER_FIRST), `c=biws,r=${BOTH},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`);
  subject.verify(SERVER_FINAL);
});

test("a server that does not prove the password is not believed", async () => {
  const subject = client();
  assert.throws(() => subject.verify(SERVER_FINAL), /did not prove/); // before anything was asked of it
  await subject.final(SERVER_FIRST);
  const near = [SERVER_FINAL.toLowerCase(), `${SERVER_FINAL},`, `${SERVER_FINAL}\n`];
  for (const wrong of [undefined, null, "", "v=", "v=null", ...near]) {
    assert.throws(() => subject.verify(wrong), /did not prove/, String(wrong));
  }
});

test("a challenge that is none is refused", async () => {
  const salted = "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
  for (const wrong of [
    undefined,
    "",
    `r=${NONCE},${salted}`, // nothing of the server's own in it
    `r=another,${salted}`,
    `m=extension,r=${BOTH},${salted}`, // one that has to be understood
    `r=${BOTH},s=,i=4096`,
    `r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==`,
    `r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=04096`,
  ]) {
    await assert.rejects(client().final(wrong), /no answer to this login/, String(wrong));
  }
});

test("neither too little work nor too much of it is done for a server", async () => {
  for (const count of ["1", "4095", "1000001", "99999999999999999999"]) {
    await assert.rejects(client().final(`r=${BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=${count}`), /iterations/, count);
  }
});

test("each login has a nonce of its own, and a name may hold anything", () => {
  const [one, other] = [new ScramClient("a=b,c", "x"), new ScramClient("a=b,c", "x")];
  assert.match(one.first(), /^n,,n=a=3Db=2Cc,r=[A-Za-z0-9+/]{24}$/);
  assert.notEqual(one.first(), other.first());
});

test("passwords are prepared as the RFC says", () => {
  // RFC 4013 section 3: a soft hyphen goes, case stays, compatibility forms are one.
  assert.deepEqual(["I\u00adX", "user", "USER", "\u00aa", "\u2168"].map(saslPrep), ["IX", "user", "USER", "a", "IX"]);
  assert.equal(saslPrep("two\u00a0words\u3000more"), "two words more");
  for (const wrong of ["bell\u0007", "tab\t", "\ue000", "\ud800", "\ufffd"]) {
    assert.throws(() => saslPrep(wrong), /RFC 4013/, JSON.stringify(wrong));
  }
});

test("without SubtleCrypto it says what is missing", async () => {
  const original = globalThis.crypto;
  Object.defineProperty(globalThis, "crypto", { value: {}, configurable: true });
  try {
    assert.throws(() => new ScramClient("user", "pencil"), /https:\/\/, or from localhost/);
  } finally {
    Object.defineProperty(globalThis, "crypto", { value: original, configurable: true });
  }
});

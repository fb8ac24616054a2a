// @ts-check
/** What the command is told: its arguments, and the password that is better not among them. */

import process from "node:process";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { parseArgs } from "node:util";

const PASSWORD_VARIABLE = "PASSIVBOT_WS_PASSWORD";

const USAGE = `Usage: node cli.mjs ADDRESS PASSWORD KEY_PART [options]

  ADDRESS    where the bot is served, such as ws://127.0.0.1:8765
  PASSWORD   its websocket_password; other users of this machine can see it, so give a dash (-) in its place,
             and it is taken from the environment (${PASSWORD_VARIABLE}), or asked for
  KEY_PART   its websocket_public_key_part
  --bot NAME this bot only; may be given again
  --events   print what happens at the bots, too
  --config   print the configuration once
  --list     print the bots and how they are, and end
  --once     end after the first statistics (and the configuration, if asked for)
  --token    log in with the published token: for servers that know no SCRAM-SHA-256
  --allow-plaintext-token
             send it by ws:// to another machine, for everybody between to read
  --help     print this

It comes back when the connection is lost; with --once or --list it tries once.

Exit codes: 0 done, 1 no login, no connection or not allowed, 2 wrong usage.`;

/**
 * The command's arguments. Ends the process where they are wrong, or ask for help.
 * @returns the address, the password (which may be a dash), the key part, and the options by their names
 */
export function readArguments() {
  const { values: flags, positionals } = parse();
  if (flags.help) {
    console.log(USAGE);
    return process.exit(0);
  }
  const [address, password, publicKeyPart, ...rest] = positionals;
  if (!address) {
    console.error(USAGE);
    return process.exit(2);
  }
  if (publicKeyPart === undefined || rest.length > 0) {
    return refuse(`ADDRESS, PASSWORD and KEY_PART are needed, and ${positionals.length} words were given`);
  }
  if (!password || !publicKeyPart) {
    return refuse("PASSWORD and KEY_PART must not be empty");
  }
  return { address, password, publicKeyPart, flags };
}

/**
 * End, and say what would be right.
 * @param {string} why
 * @returns {never}
 */
export function refuse(why) {
  console.error(`${why}\nnode cli.mjs --help says how it is used`);
  return process.exit(2);
}

/**
 * The password for a dash: from the environment, or from whoever sits there, without showing it.
 * @returns {Promise<string>}
 */
export async function findPassword() {
  const password = process.env[PASSWORD_VARIABLE];
  if (password) {
    return password;
  }
  process.stderr.write("Password: ");
  const output = new Writable({ write: (_text, _encoding, done) => done() }); // where it would be echoed
  const terminal = createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY });
  terminal.on("SIGINT", () => process.exit(0));
  const { value } = await terminal[Symbol.asyncIterator]().next();
  terminal.close();
  process.stderr.write("\n");
  return value ?? "";
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        bot: { type: "string", multiple: true },
        events: { type: "boolean" },
        config: { type: "boolean" },
        list: { type: "boolean" },
        once: { type: "boolean" },
        token: { type: "boolean" },
        "allow-plaintext-token": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    return refuse(/** @type {Error} */ (error).message.split(". ")[0]); // what follows is about odd file names
  }
}

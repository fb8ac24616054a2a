// @ts-check
/** JSON merge patches (RFC 7396), as the server sends what changed. Pure. */

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>} whether it is a JSON object
 */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * What a patch makes of a document (RFC 7396 section 2). Neither is changed; what the patch does not
 * touch is shared between the document and the result.
 * @param {unknown} document
 * @param {unknown} patch
 * @returns {unknown}
 */
export function applyMergePatch(document, patch) {
  if (!isObject(patch)) {
    return patch;
  }
  // Through a Map, not by assignment: a member called "__proto__" is a member like any other.
  const members = new Map(isObject(document) ? Object.entries(document) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) {
      members.delete(name);
    } else {
      members.set(name, applyMergePatch(members.get(name), value));
    }
  }
  return Object.fromEntries(members);
}

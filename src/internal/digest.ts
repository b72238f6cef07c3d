/**
 * SHA-256 of texts and bytes. Synchronous, because keys and validators are made between two steps that no other fiber may enter.
 */
import { sha256 } from "@noble/hashes/sha2.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"

/**
 * The first 128 bits of the SHA-256 of bytes, or of a text in UTF-8, as 32 lowercase hexadecimal digits.
 */
export const digest = (text: string | Uint8Array): string =>
  bytesToHex(sha256(typeof text === "string" ? utf8ToBytes(text) : text).subarray(0, 16))

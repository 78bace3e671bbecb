"""The ids of docs/guide/copies.md, computed apart from whimbrel."""
import hashlib

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_id(table, old, target="prod", form="short"):
    """For `from: [name, id, target]`; without a target for `from: [name, id]`."""
    if old is None:
        return None
    parts = [part.encode() for part in (table, old, target) if part is not None]
    digest = hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()

    def group(part):
        number, text = int.from_bytes(part, "big"), ""
        for _ in range(8):
            number, digit = divmod(number, 36)
            text = DIGITS[digit] + text
        return text
    if form == "short":
        return group(digest[:8]) + "-" + group(digest[8:16])
    if form == "hex":
        return digest[:16].hex()
    raw = bytearray(digest[:16])
    raw[6], raw[8] = raw[6] & 15 | 0x80, raw[8] & 63 | 0x80
    text = bytes(raw).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

// Small helpers for text that people read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace whimbrel {

// Edits (insert, delete, replace, swap) that turn a into b; Damerau-Levenshtein, restricted.
int edit_distance(std::string_view a, std::string_view b);
// The candidate near enough to be meant, or "". Shared words ("name" in "full_name") count.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);
// "did you mean `x`?" or "" when nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string with_thousands(std::int64_t number);  // 1,234,567
std::string to_hex(std::string_view bytes);
// Empty on anything that is not an even number of hex digits.
std::string from_hex(std::string_view text);
// Behind what `bytes` holds; false, and nothing is added, on anything else.
bool append_from_hex(std::string& bytes, std::string_view text);
// 32 hex digits of XXH3-128 over the text. Stable across versions and machines.
std::string digest_hex(std::string_view text);
// Control characters, quotes and invalid UTF-8 are escaped; longer texts are cut.
std::string printable(std::string_view text, int length_max = 60);
// Of a name that stands in double quotes as a whole what is between them, as it is written there;
// any other as it is, also one of several parts that are each in quotes.
std::string_view without_quotes(std::string_view name);
// With every `what` replaced, from left to right; what is put in is not looked at again.
std::string with_replaced(std::string text, std::string_view what, std::string_view by);
// With every one of these left out, so that what is told or kept holds no secret.
std::string masked(std::string text, const std::vector<std::string>& secrets);
// With the passwords of the URLs in it left out: of `scheme://user:password@host`, and of a
// parameter whose name ends with `password`, with all behind it. A URL ends with the quote that is
// before it, or with the text.
std::string without_passwords(std::string text);
bool is_utf8(std::string_view text);
bool ascii_iequals(std::string_view a, std::string_view b);
std::string ascii_lower(std::string_view text);
std::string ascii_upper(std::string_view text);

}  // namespace whimbrel

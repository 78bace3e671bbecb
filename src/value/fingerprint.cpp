#include "value/fingerprint.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace whimbrel {

void Fingerprint::add(std::string_view canonical_row) {
  const XXH128_hash_t hash = XXH3_128bits(canonical_row.data(), canonical_row.size());
  ++rows_;
  sum_high_ += hash.high64;
  sum_low_ += hash.low64;
  xor_high_ ^= hash.high64;
  xor_low_ ^= hash.low64;
}

void Fingerprint::merge(const Fingerprint& other) {
  rows_ += other.rows_;
  sum_high_ += other.sum_high_;
  sum_low_ += other.sum_low_;
  xor_high_ ^= other.xor_high_;
  xor_low_ ^= other.xor_low_;
}

Fingerprint Fingerprint::of(std::int64_t rows, std::string_view sum, std::int64_t exclusive_or) {
  Fingerprint made;
  made.rows_ = rows;
  made.xor_low_ = static_cast<std::uint64_t>(exclusive_or);
  for (const char c : sum) {  // modulo 2^64
    if (c >= '0' && c <= '9') made.sum_low_ = made.sum_low_ * 10 + static_cast<unsigned>(c - '0');
  }
  if (sum.starts_with('-')) made.sum_low_ = ~made.sum_low_ + 1;
  return made;
}

std::string Fingerprint::to_text() const {
  return fmt::format("{}:{:016x}{:016x}:{:016x}{:016x}", rows_, sum_high_, sum_low_, xor_high_,
                     xor_low_);
}

}  // namespace whimbrel

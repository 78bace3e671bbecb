// A fingerprint of many rows that does not depend on their order.
//
// Per row XXH3-128 over the canonical form; over rows the count, the sum and the exclusive or of
// these. Sum and xor together find what either alone would miss (a row twice, two rows swapped).
#pragma once

#include <cstdint>
#include <string>

#include "value/value.h"

namespace whimbrel {

class Fingerprint {
 public:
  void add(std::string_view canonical_row);
  void add(const Row& row) { add(canonical(row)); }
  void merge(const Fingerprint& other);
  // Made by a store itself over digests of 64 bits of its own, which are compared with each other
  // only: their sum as a whole number in decimal, and their exclusive or.
  static Fingerprint of(std::int64_t rows, std::string_view sum, std::int64_t exclusive_or);
  std::int64_t rows() const { return rows_; }
  std::string to_text() const;  // "rows:sum:xor", hex
  bool operator==(const Fingerprint&) const = default;

 private:
  std::int64_t rows_ = 0;
  std::uint64_t sum_high_ = 0;
  std::uint64_t sum_low_ = 0;
  std::uint64_t xor_high_ = 0;
  std::uint64_t xor_low_ = 0;
};

}  // namespace whimbrel

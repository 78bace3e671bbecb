#include "measure/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace whimbrel {

namespace {

constexpr int bits = 6;  // of a value that its bucket keeps
constexpr std::uint64_t per_doubling = std::uint64_t{1} << bits;

std::size_t bucket_of(std::uint64_t value) {
  if (value < per_doubling) return static_cast<std::size_t>(value);
  const int shift = static_cast<int>(std::bit_width(value)) - bits - 1;
  const std::uint64_t within = (value >> shift) - per_doubling;
  return static_cast<std::size_t>(per_doubling * static_cast<std::uint64_t>(shift + 1) + within);
}

// The highest value that falls into it.
std::int64_t top_of(std::size_t bucket) {
  const std::uint64_t number = bucket;
  if (number < per_doubling) return static_cast<std::int64_t>(number);
  const auto shift = static_cast<int>(number / per_doubling) - 1;
  const std::uint64_t first = (number % per_doubling + per_doubling) << shift;
  return static_cast<std::int64_t>(first + (std::uint64_t{1} << shift) - 1);
}

}  // namespace

void Histogram::add(Nanoseconds took) {
  const auto value = std::max<Nanoseconds>(took, Nanoseconds(0));
  const std::size_t bucket = bucket_of(static_cast<std::uint64_t>(value.count()));
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
  highest_ = std::max(highest_, value);
}

void Histogram::add(const Histogram& other) {
  if (other.buckets_.size() > buckets_.size()) buckets_.resize(other.buckets_.size());
  for (std::size_t i = 0; i < other.buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  highest_ = std::max(highest_, other.highest_);
}

Histogram::Nanoseconds Histogram::percentile(double share) const {
  if (count_ == 0) return Nanoseconds(0);
  const auto wanted = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count_)));
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted) return std::min(Nanoseconds(top_of(i)), highest_);
  }
  return highest_;
}

}  // namespace whimbrel

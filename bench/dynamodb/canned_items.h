// All items of a table, made at once from one line of JSON and kept as one text.
//
// Each `##########` in the line becomes the item's number. Items have one size and lie side by
// side, so a page of a scan is a slice that is sent as it is, and its checksum is found without
// reading it. `op-` and ten digits occur once in an item, in its key.
#pragma once

#include <fmt/format.h>
#include <zlib.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace whimbrel::canned {

inline constexpr std::string_view number_mark = "##########";
inline constexpr std::string_view key_mark = "op-";
inline constexpr std::size_t page_bytes_max = std::size_t{1} << 20;

[[noreturn]] inline void fail(const std::string& why) {
  fmt::print(stderr, "canned_server: {}\n", why);
  std::exit(2);
}

inline std::uint32_t crc_of(std::string_view text, std::uint32_t before = 0) {
  return static_cast<std::uint32_t>(crc32_z(before, reinterpret_cast<const Bytef*>(text.data()),
                                            static_cast<z_size_t>(text.size())));
}

inline std::uint32_t joined_crc(std::uint32_t one, std::uint32_t other, std::size_t size_of_other) {
  return static_cast<std::uint32_t>(crc32_combine(one, other, static_cast<z_off_t>(size_of_other)));
}

// The number after the mark that begins at `at`.
inline std::optional<std::int64_t> number_at(std::string_view text, std::size_t at) {
  std::int64_t number = 0;
  const char* begin = text.data() + at + key_mark.size();
  const char* end = begin + number_mark.size();
  if (at + key_mark.size() + number_mark.size() > text.size()) return std::nullopt;
  const auto [stop, failure] = std::from_chars(begin, end, number);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return number;
}

inline std::size_t next_mark(std::string_view text, std::size_t from) {
  if (from >= text.size()) return std::string_view::npos;
  const void* at = memmem(text.data() + from, text.size() - from, key_mark.data(), key_mark.size());
  return at == nullptr ? std::string_view::npos
                       : static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
}

inline std::string line_of(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line) ||
      line.find(std::string(key_mark) + std::string(number_mark)) == std::string::npos) {
    fail(file + " holds no item");
  }
  return line;
}

// All items of a table as one text, each followed by a comma; all have the same size.
class Items {
 public:
  Items(std::string one, std::int64_t count) : count_(count) {
    one += ',';
    stride_ = one.size();
    text_.resize(stride_ * static_cast<std::size_t>(count));
    crcs_.reserve(static_cast<std::size_t>(count) + 1);
    crcs_.push_back(0);
    std::vector<std::size_t> places;
    for (std::size_t at = one.find(number_mark); at != std::string::npos;
         at = one.find(number_mark, at + 1)) {
      places.push_back(at);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const std::string number = fmt::format("{:010}", i);
      for (const std::size_t at : places) one.replace(at, number.size(), number);
      text_.replace(stride_ * static_cast<std::size_t>(i), stride_, one);
      crcs_.push_back(crc_of(one, crcs_.back()));
    }
  }

  std::int64_t count() const { return count_; }
  std::int64_t per_page() const { return static_cast<std::int64_t>(page_bytes_max / stride_); }

  // From `begin` to before `end`, without the last comma.
  std::string_view slice(std::int64_t begin, std::int64_t end) const {
    if (begin >= end) return {};
    return std::string_view(text_).substr(stride_ * static_cast<std::size_t>(begin),
                                          stride_ * static_cast<std::size_t>(end - begin) - 1);
  }

  // The checksum of that slice: from those of the text up to each item.
  std::uint32_t crc(std::int64_t begin, std::int64_t end) const {
    if (begin >= end) return 0;
    const std::string_view last = slice(end - 1, end);
    const std::uint32_t up_to_end = crc_of(last, crcs_[static_cast<std::size_t>(end - 1)]);
    return joined_crc(crcs_[static_cast<std::size_t>(begin)], up_to_end, slice(begin, end).size());
  }

 private:
  std::int64_t count_;
  std::size_t stride_ = 0;
  std::string text_;
  std::vector<std::uint32_t> crcs_;
};

struct Table {
  std::string name;
  std::shared_ptr<const Items> items;
};

}  // namespace whimbrel::canned

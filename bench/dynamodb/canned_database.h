// What the canned server answers: a table to scan, and another one that takes what it is sent.
//
// The target has no item until every number was written, then those of its own line; so a
// comparison of both tables finds what it should. Nothing that is written is parsed: a bit a number
// says which were. Not here: conditions (a write with one that no item can meet is refused, others
// are taken for met), capacity, streams with anything in them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "canned_items.h"

namespace whimbrel::canned {

// Text of its own and slices of the items, in order.
struct Answer {
  std::string head;
  std::vector<std::string_view> slices;  // of `Items`, which outlive it
  std::string tail;

  std::size_t size() const {
    std::size_t sum = head.size() + tail.size();
    for (const std::string_view slice : slices) sum += slice.size();
    return sum;
  }
};

struct Told {
  std::map<std::string, std::int64_t, std::less<>> requests;
  std::int64_t received_bytes = 0;
  std::int64_t sent_bytes = 0;
  std::int64_t scanned = 0;
  std::int64_t written = 0;  // items in writes, also one that was there
};

class Database {
 public:
  Database(Table source, Table target, bool target_exists)
      : source_(std::move(source)),
        target_(std::move(target)),
        target_exists_(target_exists),
        is_there_(static_cast<std::size_t>(source_.items->count())) {}

  Answer answer(std::string_view operation, std::string_view body);
  Answer tell();

  Told told;

 private:
  const Table& table_of(std::string_view body) const;
  bool is_empty(const Table& table) const;

  // What is sent.
  static std::string start(std::string_view status, std::size_t size, std::uint32_t crc);
  static const std::string& date();
  static Answer whole(const std::string& body, std::string_view status = "200 OK");
  static Answer refused(std::string_view type, std::string_view why);
  static std::string consumed(const Table& table, double units);
  // Whoever wants it says so at the end of a request, or in a short one.
  static bool wants_capacity(std::string_view body);

  // Reading.
  static std::optional<std::int64_t> whole_number(std::string_view body, std::string_view name);
  Answer scan(std::string_view body);
  static Answer sliced(const std::string& before, const Items& items, std::int64_t begin,
                       std::int64_t end, const std::string& tail);
  Answer batch_get(std::string_view body);
  Answer get_one(std::string_view body);

  // Writing.
  std::int64_t take(std::string_view body);
  Answer batch_write(std::string_view body);
  Answer write_one(std::string_view body);

  // About tables.
  Answer about_tables(std::string_view operation, std::string_view body);
  Answer about_streams(std::string_view operation, std::string_view body) const;
  static std::string arn_of(const Table& table);
  static std::string stream_of(const Table& table);
  Answer describe(const Table& table);
  Answer described(const Table& table, std::string_view under);

  Table source_;
  Table target_;
  bool target_exists_;
  std::vector<bool> is_there_;
  std::int64_t there_ = 0;
  std::map<std::string, bool> streams_;
};

}  // namespace whimbrel::canned

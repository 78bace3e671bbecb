// Items as DynamoDB spells them in JSON, and rows: both ways, without loss.
//
// Attributes that a plan or a key names have a column of their own; all others are one map, in the
// column that `TableSchema::rest_column` names. Reading is simdjson's; sets are sorted and numbers
// have one spelling, so that equal items are equal rows.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "value/schema.h"
#include "value/value.h"

namespace whimbrel::dynamodb {

inline constexpr const char* rest_name = "*";
inline constexpr std::int64_t item_bytes_max = 400 * 1024;
inline constexpr int depth_max =
    31;  // of maps and lists in one another: the item itself is the 32nd

// {"S":"x"} and the like, appended.
void append_value(std::string& json, const Value& value);
// A JSON string with its quotes.
void append_text(std::string& json, std::string_view text);
std::string in_quotes(std::string_view text);
// The value as an attribute would hold it, so that it compares with what is read back. `refused`
// for what DynamoDB cannot hold.
Result<Value> settled(Value value);
// The same for a column that is a key, of the table or of an index: of its type, and not empty.
Result<Value> settled_key(const ColumnSchema& column, Value value);

// {"a":{"S":"x"},…}: attributes that are not there are left out. `refused` when an attribute of the
// map has a column of its own as well.
Result<std::string> item_of(const TableSchema& table, std::span<const std::string> columns,
                            const Row& values);
std::string key_json(const TableSchema& table, const Row& key);
// A position to read on from: its attributes are all keys.
std::string key_json(const std::vector<std::string>& names, const Row& key);

// The key that a {"PutRequest":…} or {"DeleteRequest":…} is for, as a person reads it.
std::string key_shown(const std::string& request, const std::vector<std::string>& key);

// The number of bytes that AWS counts, for the limit of 400 KB and for capacity.
std::int64_t item_size(const TableSchema& table, const Row& row);

// What a Scan, Query or BatchGetItem has said.
struct Page {
  std::vector<Row> rows;
  std::optional<Row> last_key;  // where to read on; in key order
  std::string unprocessed;      // BatchGetItem: the keys to ask for again, as "Keys" is spelled
  std::int64_t count = 0;       // as the service says, also where it sends no items
  std::int64_t looked_at = 0;   // also those that a filter left out
  double capacity = 0;          // units that it took
  std::int64_t bytes = 0;       // of a scan's reply
};

// Reads replies; keeps its memory between calls. Threads: one at a time.
class ItemReader {
 public:
  explicit ItemReader(const TableSchema& table);
  ~ItemReader();
  ItemReader(const ItemReader&) = delete;
  ItemReader& operator=(const ItemReader&) = delete;
  Result<Page> scan_page(const std::string& body);
  // Rows are aligned with the table's columns.
  Result<Page> batch_page(const std::string& body);
  // One item of a GetItem; unset where there is none.
  Result<std::optional<Row>> one(const std::string& body);
  // One item, and one value of an attribute, by themselves; within a buffer that goes on for as
  // many bytes as simdjson may read beyond them.
  Result<Row> item(std::string_view json);
  Result<Value> value(std::string_view json);

 private:
  struct Parser;
  TableSchema table_;
  std::unique_ptr<Parser> parser_;
};

// A stream's record, as far as keys go.
// Whether a record tells of a deletion, and by whom: somebody, or time to live. Kept by its number.
enum class Removal { none = 0, by_somebody = 1, by_time = 2 };

struct StreamRecord {
  Row key;
  Removal removal = Removal::none;
  std::string sequence;
  std::int64_t created_s = 0;  // seconds since 1970
};
struct RecordPage {
  std::vector<StreamRecord> records;
  std::string next_iterator;  // "": the shard has ended
};
Result<RecordPage> records_of(const std::string& body, const std::vector<std::string>& key);

}  // namespace whimbrel::dynamodb

#include "stores/dynamodb/rows.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "stores/dynamodb/batch_sender.h"
#include "stores/dynamodb/item.h"
#include "stores/dynamodb/segments.h"
#include "stores/dynamodb/units.h"
#include "transform/mapping.h"

namespace whimbrel::dynamodb {

namespace {

constexpr std::int64_t keys_per_batch = 100;  // of BatchGetItem
constexpr std::int64_t reads_at_once = 16;
constexpr std::int64_t count_segments = 8;
// Of all segments at once: rows take many times the room of what they came in.
constexpr std::int64_t scan_bytes = std::int64_t{1} << 20;
// The service takes 300 operators and 4 KB in one expression.
constexpr std::size_t conditions_max = 120;
constexpr std::size_t expression_bytes_max = 4'000;

// The filter of a scan: members of the request, or "" where the service sees things otherwise.
class Filter {
 public:
  explicit Filter(std::span<const Condition> where) {
    for (const Condition& condition : where) add(condition);
  }

  std::string members() const {
    if (expression_.empty()) return "";
    return R"(,"FilterExpression":)" + in_quotes(expression_) + R"(,"ExpressionAttributeNames":{)" +
           names_ + R"(},"ExpressionAttributeValues":{)" + values_ + "}";
  }

 private:
  static std::string spelled(Condition::Is is) {
    switch (is) {
      case Condition::Is::one_of:
        return "{} = {}";
      case Condition::Is::at_least:
        return "{} >= {}";
      case Condition::Is::above:
        return "{} > {}";
      case Condition::Is::at_most:
        return "{} <= {}";
      case Condition::Is::below:
        return "{} < {}";
      case Condition::Is::begins_with:
        return "begins_with({}, {})";
      case Condition::Is::none_of:
        break;
    }
    return "";
  }

  void add(const Condition& condition) {
    // The service takes 300 operators and 4 KB in one expression.
    constexpr int values_max = 60;
    constexpr int value_bytes_max = 200;
    const std::string form = spelled(condition.is);
    const bool can_be_asked = std::ranges::all_of(condition.values, [&](const Value& value) {
      const auto* text = value.get_if<std::string>();
      if (text == nullptr)
        return value.kind() == Kind::int64 && condition.is != Condition::Is::begins_with;
      return !text->empty() && std::ssize(*text) <= value_bytes_max;
    });
    const bool has_room = values_count_ + std::ssize(condition.values) <= values_max;
    if (form.empty() || !can_be_asked || !has_room) return;
    const std::string name = fmt::format("#f{}", names_count_++);
    names_ += (names_.empty() ? "" : ",") + in_quotes(name) + ":" + in_quotes(condition.column);
    std::string any;
    for (const Value& value : condition.values) {
      const std::string mark = fmt::format(":f{}", values_count_++);
      values_ += (values_.empty() ? "" : ",") + in_quotes(mark) + ":";
      append_value(values_, value);
      any += (any.empty() ? "" : " OR ") + fmt::format(fmt::runtime(form), name, mark);
    }
    // To whimbrel true is also the number 1; whoever reads looks again.
    const bool has_numbers = std::ranges::any_of(
        condition.values, [](const Value& value) { return value.kind() == Kind::int64; });
    if (has_numbers) {
      const std::string mark = fmt::format(":f{}", values_count_++);
      values_ += "," + in_quotes(mark) + R"(:{"S":"BOOL"})";
      any += fmt::format(" OR attribute_type({}, {})", name, mark);
    }
    expression_ += (expression_.empty() ? "(" : " AND (") + any + ")";
  }

  std::string expression_;
  std::string names_;
  std::string values_;
  int names_count_ = 0;
  int values_count_ = 0;
};

class Reader final : public SnapshotReader {
 public:
  Reader(DynamoStore& store, const TableSchema& table, std::span<const Condition> where)
      : table_(table),
        filter_(Filter(where).members()),
        pace_(store.pace(table.name, false)),
        client_(store.connect(&pace_)),
        items_(table),
        key_(positions_of(table.key, table)) {}

  // In the table's own order, which is none that anybody could compute: by the hash of the key.
  Result<ChunkOfRows> read_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    ChunkOfRows chunk;
    chunk.range.after = after;
    std::optional<Row> from = after;
    do {
      std::string body =
          "{\"TableName\":" + in_quotes(table_.name) +
          fmt::format(",\"ConsistentRead\":true,\"Limit\":{}",
                      pace_.items_max(std::clamp<std::int64_t>(limits.rows_max, 1, 1'000'000))) +
          R"(,"ReturnConsumedCapacity":"TOTAL")" + filter_;
      if (from) body += ",\"ExclusiveStartKey\":" + key_json(table_, *from);
      pace_.wait();
      ASSIGN_OR_RETURN(const std::string reply, client_->call("Scan", body + "}"));
      ASSIGN_OR_RETURN(Page page, items_.scan_page(reply));
      pace_.pay({page.capacity}, page.looked_at);
      chunk.rows = std::move(page.rows);
      from = std::move(page.last_key);
    } while (chunk.rows.empty() && from);
    chunk.range.through = std::move(from);
    cut(chunk, limits.bytes_max);
    return chunk;
  }

  Result<ChunkOfRows> scan_after(const std::optional<Row>& after,
                                 const ChunkLimits& limits) override {
    ChunkOfRows chunk;
    chunk.range.after = after;
    Segments segments(after);
    do {
      const std::int64_t most = std::clamp<std::int64_t>(
          scan_bytes / item_bytes_, 1, std::max<std::int64_t>(limits.rows_max, 1));
      ASSIGN_OR_RETURN(std::vector<Page> pages, scan(segments, most, filter_));
      for (Page& page : pages) {
        if (page.looked_at > 0) item_bytes_ = page.bytes / page.looked_at + 1;
        std::ranges::move(page.rows, std::back_inserter(chunk.rows));
      }
    } while (chunk.rows.empty() && !segments.at_end());
    chunk.range.through = segments.position();
    return chunk;
  }

  Result<std::vector<std::optional<Row>>> read_keys(std::span<const Row> keys) override {
    std::map<Row, std::vector<std::size_t>, RowLess> wanted;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (can_be_there(keys[i])) wanted[keys[i]].push_back(i);
    }
    std::vector<std::string> asked;
    std::string list;
    std::int64_t count = 0;
    const std::int64_t each = pace_.items_max(keys_per_batch);
    for (const auto& [key, at] : wanted) {
      list += (list.empty() ? "" : ",") + key_json(table_, key);
      if (++count % each == 0) asked.push_back(std::exchange(list, ""));
    }
    if (!list.empty()) asked.push_back(std::move(list));
    std::vector<std::optional<Row>> rows(keys.size());
    while (!asked.empty()) TRY(ask(asked, wanted, rows));
    return rows;
  }

  Result<std::int64_t> count() override {
    std::int64_t rows = 0;
    for (Segments segments(count_segments); !segments.at_end();) {
      ASSIGN_OR_RETURN(const std::vector<Page> pages,
                       scan(segments, 1'000'000, R"(,"Select":"COUNT")"));
      for (const Page& page : pages) rows += page.count;
    }
    return rows;
  }

 private:
  // A value that refers to a row may be no key at all, and then there is none.
  bool can_be_there(const Row& key) const {
    constexpr std::size_t sort_key_max = 1024;
    for (std::size_t i = 0; i < key.size(); ++i) {
      const auto at = static_cast<std::size_t>(table_.column_index(table_.key[i]));
      const Result<Value> settled = settled_key(table_.columns[at], key[i]);
      if (!settled.ok()) return false;
      const auto* text = settled.value().get_if<std::string>();
      const auto* bytes = settled.value().get_if<Bytes>();
      const std::size_t length = text != nullptr    ? text->size()
                                 : bytes != nullptr ? bytes->text.size()
                                                    : 0;
      if (i > 0 && length > sort_key_max) return false;
    }
    return true;
  }

  // A page is as large as the service likes; what is too much of it is read again.
  void cut(ChunkOfRows& chunk, std::int64_t bytes_max) const {
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i + 1 < chunk.rows.size(); ++i) {
      bytes += size_of(chunk.rows[i]);
      if (bytes < bytes_max) continue;
      chunk.rows.resize(i + 1);
      chunk.range.through = key_of(chunk.rows.back(), key_);
    }
  }

  // A page of each of the first segments that are not at their end, so many items in all.
  Result<std::vector<Page>> scan(Segments& segments, std::int64_t items_max,
                                 const std::string& more) {
    pace_.wait();
    // A request for less pays for what it does not read, where the pace allows little.
    const std::int64_t most = pace_.items_max(items_max);
    const std::vector<std::size_t> scanned = segments.open(static_cast<std::size_t>(
        std::clamp<std::int64_t>(most / items_worth_a_request, 1, std::int64_t{scans_at_once})));
    const std::int64_t each = std::max<std::int64_t>(most / std::ssize(scanned), 1);
    std::vector<aws::Call> calls;
    for (const std::size_t segment : scanned) {
      calls.push_back(
          {"Scan", fmt::format(R"({{"TableName":{},"ConsistentRead":true,"Limit":{},)"
                               R"("ReturnConsumedCapacity":"TOTAL",{}{}}})",
                               in_quotes(table_.name), each, segments.members(segment), more)});
    }
    std::vector<Result<aws::Reply>> replies = client_->send(calls);
    std::vector<Page> pages;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (!replies[i].ok()) return std::move(replies[i]).error();
      if (!replies[i].value().ok()) return client_->to_error(replies[i].value(), "Scan");
      ASSIGN_OR_RETURN(Page page, items_.scan_page(replies[i].value().body));
      pace_.pay({page.capacity}, page.looked_at);
      segments.go_on_from(scanned[i], page.last_key ? key_json(table_, *page.last_key) : "");
      pages.push_back(std::move(page));
    }
    return pages;
  }

  // A wave of requests; what was left over, or has not been asked yet, is in `asked` afterwards.
  Status ask(std::vector<std::string>& asked,
             const std::map<Row, std::vector<std::size_t>, RowLess>& wanted,
             std::vector<std::optional<Row>>& rows) {
    pace_.wait();
    const std::int64_t most =
        std::max<std::int64_t>(pace_.items_max(keys_per_batch * reads_at_once) / keys_per_batch, 1);
    std::vector<aws::Call> calls;
    while (!asked.empty() && std::ssize(calls) < most) {
      calls.push_back(
          {"BatchGetItem",
           fmt::format(R"({{"RequestItems":{{{}:{{"ConsistentRead":true,"Keys":[{}]}}}},)"
                       R"("ReturnConsumedCapacity":"TOTAL"}})",
                       in_quotes(table_.name), asked.back())});
      asked.pop_back();
    }
    std::vector<Result<aws::Reply>> replies = client_->send(calls);
    for (Result<aws::Reply>& reply : replies) {
      if (!reply.ok()) return std::move(reply).error();
      if (!reply.value().ok()) return client_->to_error(reply.value(), "BatchGetItem");
      ASSIGN_OR_RETURN(Page page, items_.batch_page(reply.value().body));
      // How many are left over is not counted; that some are says that it was too fast.
      pace_.pay({page.capacity}, page.looked_at, page.unprocessed.size() > 2 ? 0.5 : 0);
      for (Row& row : page.rows) {
        const auto it = wanted.find(key_of(row, key_));
        if (it == wanted.end()) continue;
        for (const std::size_t at : it->second) rows[at] = row;
      }
      if (page.unprocessed.size() > 2) {  // "[…]"
        asked.push_back(page.unprocessed.substr(1, page.unprocessed.size() - 2));
      }
    }
    return {};
  }

  TableSchema table_;
  std::string filter_;
  std::int64_t item_bytes_ = 1024;  // as the last page had them
  Pace& pace_;
  std::unique_ptr<aws::Client> client_;
  ItemReader items_;
  std::vector<int> key_;
};

// A condition that holds only while the item is still this one: as far as it names attributes, and
// has room for them. One that came since is not seen by it.
struct ItemCondition {
  std::string expression;
  std::string names;   // "#c0":"a",…
  std::string values;  // ":c0":{…},…

  void add(const std::string& name, const Value& value) {
    if (is_full()) return;
    const std::size_t number = count++;
    if (!names.empty()) names += ',';
    if (!values.empty()) values += ',';
    if (!expression.empty()) expression += " AND ";
    names += fmt::format("\"#c{}\":{}", number, in_quotes(name));
    values += fmt::format("\":c{}\":", number);
    append_value(values, value);
    expression += fmt::format("#c{0} = :c{0}", number);
  }
  void is_missing(const std::string& name) {
    if (is_full()) return;
    const std::size_t number = count++;
    if (!names.empty()) names += ',';
    if (!expression.empty()) expression += " AND ";
    names += fmt::format("\"#c{}\":{}", number, in_quotes(name));
    expression += fmt::format("attribute_not_exists(#c{})", number);
  }
  bool is_full() const {
    constexpr std::size_t longest = 40;  // of what is added
    return count == conditions_max || expression.size() + longest > expression_bytes_max;
  }
  std::size_t count = 0;
};

class Writer final : public BatchWriter {
 public:
  Writer(DynamoStore& store, const TableSchema& table, const std::vector<std::string>& columns)
      : store_(store),
        table_(table),
        columns_(columns),
        pace_(store.pace(table.name, true)),
        client_(store.connect(&pace_)),
        items_(table) {
    at_ = positions_of(columns, table);
    for (const ColumnSchema& column : table.columns) {
      whole_ = whole_ && std::ranges::count(columns, column.name) > 0;
    }
    writes_rest_ = std::ranges::count(columns, table.rest_column) > 0;
  }

  Result<Applied> apply(std::span<const Change> changes) override {
    Applied applied;
    // The last word for each key; a deletion before it only matters where attributes would stay.
    Plans plans;
    for (const bool deletes : {true, false}) {
      for (const Change& change : changes) {
        if (change.row.has_value() == deletes) continue;
        Plan& plan = plans[&change.key];
        if (change.only_if && !plan.only_if) plan.only_if = *change.only_if;
        plan.empties = plan.empties || deletes;
        if (change.row) plan.values = &*change.row;
      }
    }
    ASSIGN_OR_RETURN(is_followed_, is_followed());
    const std::vector<OwnWrite> own = is_followed_ ? own_writes(plans) : std::vector<OwnWrite>();
    if (!own.empty()) TRY(store_.spool()->intend_own(table_.name, own));
    BatchSender batch(*client_, pace_, store_.clock(), table_);
    std::vector<Planned> singly;
    for (const auto& [key, plan] : plans) {
      if (plan.only_if || (plan.values != nullptr && !whole_)) {
        singly.emplace_back(key, &plan);
        continue;
      }
      if (plan.values == nullptr) {
        batch.add("{\"DeleteRequest\":{\"Key\":" + key_json(table_, *key) + "}}", key);
      } else {
        ASSIGN_OR_RETURN(const std::string item, item_of(table_, columns_, *plan.values));
        batch.add("{\"PutRequest\":{\"Item\":" + item + "}}", key);
      }
      ++applied.written;
    }
    TRY(batch.flush());
    TRY(write_singly(singly, applied));
    if (!own.empty() && applied.refused == 0) TRY(store_.spool()->note_own(table_.name, own));
    return applied;
  }

 private:
  struct Plan {
    const Row* values = nullptr;  // null: the item goes
    bool empties = false;         // nothing of the item before may stay
    std::optional<std::optional<Row>> only_if;
  };
  struct KeyLess {
    bool operator()(const Row* a, const Row* b) const { return compare(*a, *b) < 0; }
  };
  using Plans = std::map<const Row*, Plan, KeyLess>;  // by keys of the changes
  using Planned = std::pair<const Row*, const Plan*>;
  struct Seen {
    const Row* key;
    const Plan* plan;
    std::optional<Row> now;  // the item, where it was looked at and is there
  };

  // The whole row that this writer leaves; unset where that depends on what nobody has looked at.
  std::optional<Row> row_left_by(const Plan& plan) const {
    const bool replaces = whole_ || plan.empties;
    if (!replaces && !plan.only_if) return std::nullopt;
    Row row(table_.columns.size());
    if (!replaces && *plan.only_if) row = **plan.only_if;
    for (std::size_t i = 0; i < at_.size(); ++i) {
      row[static_cast<std::size_t>(at_[i])] = (*plan.values)[i];
    }
    return row;
  }

  Result<bool> is_followed() const {
    if (store_.spool() == nullptr) return false;
    return store_.spool()->is_followed(table_.name);
  }

  // When these come back by a stream, they are known as our own, also by a later process.
  std::vector<OwnWrite> own_writes(const Plans& plans) const {
    std::vector<OwnWrite> written;
    for (const auto& [key, plan] : plans) {
      if (plan.values == nullptr) {
        written.emplace_back(*key, "");
      } else if (const std::optional<Row> row = row_left_by(plan)) {
        written.emplace_back(*key, item_digest(table_, *row));
      }
    }
    return written;
  }

  Result<std::string> put_request(const Row& key, const Plan& plan,
                                  const ItemCondition& condition) {
    ASSIGN_OR_RETURN(const std::string item, item_of(table_, columns_, *plan.values));
    (void)key;
    return "{\"TableName\":" + in_quotes(table_.name) + ",\"Item\":" + item +
           with(condition, "", "") + "}";
  }

  static std::string with(const ItemCondition& condition, const std::string& more_names,
                          const std::string& more_values) {
    std::string json;
    std::string names = condition.names;
    std::string values = condition.values;
    if (!more_names.empty()) names += (names.empty() ? "" : ",") + more_names;
    if (!more_values.empty()) values += (values.empty() ? "" : ",") + more_values;
    if (!condition.expression.empty()) {
      json += ",\"ConditionExpression\":" + in_quotes(condition.expression);
    }
    if (!names.empty()) json += ",\"ExpressionAttributeNames\":{" + names + "}";
    if (!values.empty()) json += ",\"ExpressionAttributeValues\":{" + values + "}";
    return json + ",\"ReturnConsumedCapacity\":\"INDEXES\"";
  }

  // Only the writer's columns; what else the item has stays.
  Result<std::string> update_request(const Row& key, const Plan& plan,
                                     const ItemCondition& condition,
                                     const std::optional<Row>& now) {
    std::string sets;
    std::string removes;
    std::string names;
    std::string values;
    std::size_t number = 0;
    const auto assign = [&](const std::string& name, const Value& value) {
      names += fmt::format("{}\"#u{}\":{}", names.empty() ? "" : ",", number, in_quotes(name));
      if (value.kind() == Kind::null) {
        removes += fmt::format("{}#u{}", removes.empty() ? "" : ", ", number);
      } else {
        sets += fmt::format("{}#u{} = :u{}", sets.empty() ? "" : ", ", number, number);
        values += fmt::format("{}\":u{}\":", values.empty() ? "" : ",", number);
        append_value(values, value);
      }
      ++number;
    };
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (table_.is_key(columns_[i])) continue;
      if (columns_[i] != table_.rest_column) {
        assign(columns_[i], (*plan.values)[i]);
        continue;
      }
      std::set<std::string> stays;
      if (const auto* map = (*plan.values)[i].get_if<Map>()) {
        for (const auto& [name, field] : map->fields) {
          if (table_.column_index(name) >= 0) continue;
          assign(name, field);
          stays.insert(name);
        }
      }
      if (!now) continue;
      const auto at = static_cast<std::size_t>(table_.column_index(table_.rest_column));
      if (const auto* map = (*now)[at].get_if<Map>()) {
        for (const auto& [name, field] : map->fields) {
          if (!stays.contains(name)) assign(name, Value());
        }
      }
    }
    std::string expression = sets.empty() ? "" : "SET " + sets;
    if (!removes.empty()) expression += (expression.empty() ? "REMOVE " : " REMOVE ") + removes;
    std::string json =
        "{\"TableName\":" + in_quotes(table_.name) + ",\"Key\":" + key_json(table_, key);
    if (!expression.empty()) json += ",\"UpdateExpression\":" + in_quotes(expression);
    return json + with(condition, names, values) + ",\"ReturnValues\":\"ALL_NEW\"}";
  }

  ItemCondition condition_for(const Row& key, const std::optional<Row>& wanted) const {
    ItemCondition condition;
    (void)key;
    if (!wanted) {
      condition.is_missing(table_.key.front());
      return condition;
    }
    for (std::size_t i = 0; i < wanted->size(); ++i) {
      const std::string& name = table_.columns[i].name;
      const Value& value = (*wanted)[i];
      if (name == table_.rest_column) {
        if (const auto* map = value.get_if<Map>()) {
          for (const auto& [field_name, field] : map->fields) condition.add(field_name, field);
        }
      } else if (value.kind() == Kind::null) {
        condition.is_missing(name);
      } else {
        condition.add(name, value);
      }
    }
    return condition;
  }

  // A condition does not see all of an item, and what is to go has to be known by name.
  bool needs_a_look(const Plan& plan) const {
    return (plan.only_if && *plan.only_if) || (writes_rest_ && !whole_ && plan.values != nullptr);
  }

  // Looks at items where that is needed. Those that have to be as they were, and are another one by
  // now, are counted and left out.
  Result<std::vector<Seen>> look(std::span<const Planned> planned, Applied& applied) {
    std::vector<Row> keys;
    for (const auto& [key, plan] : planned) {
      if (needs_a_look(*plan)) keys.push_back(*key);
    }
    std::vector<std::optional<Row>> rows;
    if (!keys.empty()) {
      if (looking_ == nullptr) looking_ = make_reader(store_, table_);
      ASSIGN_OR_RETURN(rows, looking_->read_keys(keys));
    }
    std::vector<Seen> left;
    std::size_t at = 0;
    for (const auto& [key, plan] : planned) {
      std::optional<Row> now;
      if (needs_a_look(*plan)) now = std::move(rows[at++]);
      if (plan->only_if && *plan->only_if) {
        const bool as_wanted =
            now && item_digest(table_, *now) == item_digest(table_, **plan->only_if);
        if (!as_wanted) {
          is_done(*plan, now) ? ++applied.skipped : ++applied.refused;
          continue;
        }
      }
      left.push_back({key, plan, std::move(now)});
    }
    return left;
  }

  Status write_singly(std::span<const Planned> singly, Applied& applied) {
    while (!singly.empty()) {
      pace_.wait();
      const auto count =
          std::min(static_cast<std::size_t>(pace_.items_max(reads_at_once)), singly.size());
      ASSIGN_OR_RETURN(const std::vector<Seen> wave, look(singly.first(count), applied));
      singly = singly.subspan(count);
      std::vector<aws::Call> calls;
      for (const auto& [key, plan, now] : wave) {
        const ItemCondition condition =
            plan->only_if ? condition_for(*key, *plan->only_if) : ItemCondition();
        if (plan->values == nullptr) {
          calls.push_back({"DeleteItem", "{\"TableName\":" + in_quotes(table_.name) +
                                             ",\"Key\":" + key_json(table_, *key) +
                                             with(condition, "", "") + "}"});
        } else if (whole_ || plan->empties) {
          ASSIGN_OR_RETURN(std::string body, put_request(*key, *plan, condition));
          calls.push_back({"PutItem", std::move(body)});
        } else {
          ASSIGN_OR_RETURN(std::string body, update_request(*key, *plan, condition, now));
          calls.push_back({"UpdateItem", std::move(body)});
        }
      }
      std::vector<Result<aws::Reply>> replies = client_->send(calls);
      for (std::size_t i = 0; i < replies.size(); ++i) {
        TRY(take(*wave[i].key, *wave[i].plan, calls[i], replies[i], applied));
      }
    }
    return {};
  }

  Status take(const Row& key, const Plan& plan, const aws::Call& call, Result<aws::Reply>& reply,
              Applied& applied) {
    if (!reply.ok()) return std::move(reply).error();
    const aws::Reply& said = reply.value();
    if (said.error == "ConditionalCheckFailedException") {
      // A reply that was lost may have been of the write that now stands in the way.
      ASSIGN_OR_RETURN(const std::string found,
                       client_->call("GetItem", "{\"TableName\":" + in_quotes(table_.name) +
                                                    ",\"ConsistentRead\":true,\"Key\":" +
                                                    key_json(table_, key) + "}"));
      ASSIGN_OR_RETURN(const std::optional<Row> now, items_.one(found));
      is_done(plan, now) ? ++applied.skipped : ++applied.refused;
      return {};
    }
    if (!said.ok()) {
      return client_->to_error(said, call.operation).within("writing the key " + show(key));
    }
    ++applied.written;
    pace_.pay(units_in(capacity_, said.body), 1);
    const bool is_noted = call.operation != "UpdateItem" || row_left_by(plan);
    if (is_noted || !is_followed_) return {};
    // "Attributes" is spelled as an item is.
    std::string body = said.body;
    const std::size_t at = body.find("\"Attributes\"");
    if (at == std::string::npos) return {};
    body.replace(at, 12, "\"Item\"");
    ASSIGN_OR_RETURN(const std::optional<Row> now, items_.one(body));
    if (!now) return {};
    return store_.spool()->note_own(table_.name, {{key, item_digest(table_, *now)}});
  }

  bool is_done(const Plan& plan, const std::optional<Row>& now) const {
    if (plan.values == nullptr) return !now;
    if (!now) return false;
    for (std::size_t i = 0; i < at_.size(); ++i) {
      if (!same((*now)[static_cast<std::size_t>(at_[i])], (*plan.values)[i])) return false;
    }
    return true;
  }

  DynamoStore& store_;
  TableSchema table_;
  std::vector<std::string> columns_;
  std::vector<int> at_;
  bool whole_ = true;  // it writes every column: an item is replaced
  bool writes_rest_ = false;
  bool is_followed_ = false;  // at the time of this apply
  Pace& pace_;
  std::unique_ptr<aws::Client> client_;
  ItemReader items_;
  simdjson::ondemand::parser capacity_;  // of what a reply says that it took
  std::unique_ptr<SnapshotReader> looking_;
};

}  // namespace

std::unique_ptr<SnapshotReader> make_reader(DynamoStore& store, const TableSchema& table,
                                            std::span<const Condition> where) {
  return std::make_unique<Reader>(store, table, where);
}

std::unique_ptr<BatchWriter> make_writer(DynamoStore& store, const TableSchema& table,
                                         const std::vector<std::string>& columns) {
  return std::make_unique<Writer>(store, table, columns);
}

std::string item_digest(const TableSchema& table, const Row& row) {
  Map whole;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i].kind() == Kind::null) continue;
    if (table.columns[i].name != table.rest_column) {
      whole.fields.emplace_back(table.columns[i].name, row[i]);
    } else if (const auto* rest = row[i].get_if<Map>()) {
      whole.fields.insert(whole.fields.end(), rest->fields.begin(), rest->fields.end());
    }
  }
  std::ranges::sort(whole.fields, {},
                    [](const auto& one) -> const std::string& { return one.first; });
  return digest_hex(canonical({Value(Value::Storage(std::move(whole)))}));
}

}  // namespace whimbrel::dynamodb

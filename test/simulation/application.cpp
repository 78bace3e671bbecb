#include "application.h"

#include <fmt/format.h>

namespace whimbrel::simulation {

namespace {
constexpr int key_numbers = 40;
constexpr const char* bad_number = "many";
}  // namespace

std::string Page::old_key(const std::string& new_key_text) const {
  return new_key_text.substr(std::min(key_prefix.size(), new_key_text.size()));
}

TableSchema text_table(const std::string& name, const std::vector<std::string>& columns) {
  TableSchema schema;
  schema.name = name;
  for (const std::string& column : columns) {
    schema.columns.push_back({column, "", true, false, false, ""});
  }
  if (!columns.empty()) schema.key = {columns.front()};
  return schema;
}

std::string text_or(const Value& value, const std::string& otherwise) {
  const auto* text = value.get_if<std::string>();
  return text == nullptr ? otherwise : *text;
}

Value in_book(const std::map<std::string, Value>& values, const std::string& column) {
  const auto it = values.find(column);
  return it == values.end() ? Value() : it->second;
}

bool can_be_converted(const Entry& entry) {
  return text_or(in_book(entry.old_side, "n"), "") != bad_number;
}

Application::Application(Random& random, std::shared_ptr<MemoryStore> old_side,
                         std::shared_ptr<MemoryStore> new_side, std::vector<Page> pages,
                         int switches, Note note)
    : random_(random),
      old_side_(std::move(old_side)),
      new_side_(std::move(new_side)),
      pages_(std::move(pages)),
      switches_(switches),
      note_(std::move(note)) {}

void Application::fill() {
  for (Page& page : pages_) {
    const std::int64_t rows = random_.below(30);
    for (std::int64_t i = 0; i < rows; ++i) {
      (void)write_old(page, fmt::format("k{:02}", random_.below(key_numbers)));
    }
  }
}

void Application::new_attempt() {
  for (Page& page : pages_) {
    page.written_old.clear();
    page.written_new.clear();
  }
}

void Application::believe_old_side(Page& page) {
  for (const std::string& key : page.conflicts) {
    page.book.erase(key);
    page.namesakes[key].unsure = true;
  }
  for (const Row& row : old_side_->rows(page.old_table)) {
    const std::string key = text_or(row[0], "");
    if (!page.conflicts.contains(key)) continue;
    Entry& entry = page.book[key];
    entry.unsure = true;
    for (std::size_t i = 0; i < old_columns.size(); ++i) entry.old_side[old_columns[i]] = row[i];
  }
  // What the new side has made of such a key may come back to it with every later attempt.
  page.conflicts = page.given_away;
  page.behind.clear();
}

bool Application::switched(int app) const {
  const Value name = Value::text(fmt::format("s{}", app));
  for (const Row& row : old_side_->rows(switch_table)) {
    if (same(row[0], name)) return same(row[1], Value::integer(1));
  }
  return false;
}

void Application::write_something() {
  const std::int64_t many = 1 + random_.below(3);
  for (std::int64_t i = 0; i < many && writes_left > 0; ++i, --writes_left) {
    Page& page = pages_[static_cast<std::size_t>(random_.below(std::ssize(pages_)))];
    const std::int64_t number = random_.below(key_numbers);
    // Each application has its own rows, so that two of them are never of two minds.
    const int app = static_cast<int>(number % switches_);
    const std::string key = fmt::format("k{:02}", number);
    const bool new_side = switched(app);
    if (!(new_side ? write_new(page, key) : write_old(page, key))) continue;
    (new_side ? page.written_new : page.written_old).insert(key);
    note_(fmt::format("    {} {} {}", new_side ? page.new_table : page.old_table, key,
                      page.book.contains(key) ? "is there" : "is gone"));
  }
}

std::optional<Row> Application::row_of(MemoryStore& store, const std::string& table,
                                       const std::vector<std::string>& columns,
                                       const Value& key) const {
  const auto reader = store.open_reader(text_table(table, columns));
  const std::vector<Row> wanted = {{key}};
  const auto rows = reader.value()->read_keys(wanted);
  return rows.ok() ? rows.value()[0] : std::nullopt;
}

// After a hold that ended too early a row may still be on its way: then a delete deletes nothing.
bool Application::is_there(MemoryStore& store, const std::string& table, const Value& key) const {
  return row_of(store, table, {}, key).has_value();
}

// The other side's version is on its way to a row, and this write leaves the row as it stands: no
// store can tell it from no write.
bool Application::cannot_be_seen(const Page& page, const std::string& key,
                                 const std::vector<std::pair<std::string, Value>>& written) const {
  const std::optional<Row> row = row_of(*old_side_, page.old_table, old_columns, Value::text(key));
  if (!row) return false;
  bool is_on_its_way = false;
  for (std::size_t i = 0; i < old_columns.size(); ++i) {
    const std::string& name = old_columns[i];
    const Value& stands = (*row)[i];
    is_on_its_way = is_on_its_way || !same(stands, in_book(page.book.at(key).old_side, name));
    for (const auto& [column, value] : written) {
      if (column == name && !same(stands, value)) return false;
    }
  }
  return is_on_its_way;
}

bool Application::write_old(Page& page, const std::string& key) {
  page.behind.erase(key);
  const bool exists = page.book.contains(key);
  if (exists && random_.chance(20)) {
    if (!is_there(*old_side_, page.old_table, Value::text(key))) return false;
    if (!old_side_->erase(page.old_table, {Value::text(key)}).ok()) return false;
    const Entry& entry = page.book[key];
    const bool leaves_notes = !entry.new_only.empty() || !entry.may_return.empty() || entry.unsure;
    if (leaves_notes) page.namesakes[key] = entry;
    page.book.erase(key);
    return true;
  }
  std::vector<std::pair<std::string, Value>> columns = {{"k", Value::text(key)}};
  const auto some = [&] { return !exists || random_.chance(40); };
  if (some()) columns.emplace_back("a", any_value());
  if (some()) columns.emplace_back("b", any_text());
  if (some()) columns.emplace_back("c", any_text());
  if (some()) columns.emplace_back("n", any_number(page.has_bad_values));
  if (some()) columns.emplace_back("dropped", any_value());
  if (exists && cannot_be_seen(page, key, columns)) return false;
  // Held: the application tries later.
  if (!old_side_->put(page.old_table, columns).ok()) return false;
  Entry& entry = page.book[key];
  if (!exists && page.namesakes.contains(key)) {
    const Entry& before = page.namesakes[key];
    entry.may_return = before.may_return;
    for (const auto& [column, value] : before.new_only) entry.may_return[column] = value;
    entry.unsure = before.unsure;
  }
  for (const auto& [name, value] : columns) {
    const bool changes = !same(in_book(entry.old_side, name), value);
    if (name == "c" && changes && entry.new_only.contains("doc")) {
      entry.may_return["doc"] = entry.new_only["doc"];
      entry.new_only.erase("doc");
    }
    entry.old_side[name] = value;
  }
  return true;
}

bool Application::write_new(Page& page, const std::string& key) {
  const Value id = page.new_key(key);
  const bool there = is_there(*new_side_, page.new_table, id);
  if (page.book.contains(key) && random_.chance(20)) {
    if (!there || !new_side_->erase(page.new_table, {id}).ok()) return false;
    if (unnoticed) page.namesakes[key] = page.book[key];
    page.dropped_before[key].push_back(in_book(page.book[key].old_side, "dropped"));
    page.book.erase(key);
    return true;
  }
  // A row that was set aside is not there: for this application the key is free.
  const bool exists = page.book.contains(key) && can_be_converted(page.book[key]);
  const bool is_of_another = page.book.contains(key) && !exists;
  const Entry behind = is_of_another ? page.book[key] : Entry{};
  Entry entry = page.book.contains(key) ? page.book[key] : Entry{};
  if (!exists) {
    const Value dropped = in_book(entry.old_side, "dropped");
    entry = Entry{};
    entry.old_side["dropped"] = dropped;
    if (unnoticed && page.namesakes.contains(key)) {
      const Entry& before = page.namesakes[key];
      entry.may_return = before.may_return;
      for (const auto& [column, value] : before.new_only) entry.may_return[column] = value;
    }
  }
  std::vector<std::pair<std::string, Value>> columns = {{"id", id}};
  const auto set = [&](const char* name, const Value& value) { columns.emplace_back(name, value); };
  const auto some = [&] { return !exists || random_.chance(40); };
  const auto set_new_only = [&](const char* name, const Value& value) {
    entry.new_only[name] = value;
    entry.may_return.erase(name);
    set(name, value);
  };
  entry.old_side["k"] = Value::text(key);
  if (some()) set("a2", entry.old_side["a"] = any_value());
  if (some()) set("b2", entry.old_side["b"] = Value::text(fmt::format("n{}", random_.below(100))));
  if (some()) set("n2", Value::integer(random_.below(100)));
  if (columns.back().first == "n2") {
    entry.old_side["n"] = Value::text(fmt::format("{}", columns.back().second.get<std::int64_t>()));
  }
  if (some()) {
    const std::string text = fmt::format("j{}", random_.below(100));
    const bool more = random_.chance(30);
    entry.old_side["c"] = Value::text(text);
    entry.new_only.erase("doc");
    entry.may_return.erase("doc");
    const Value doc =
        Value::json(fmt::format(R"({{"c":"{}"{}}})", text, more ? R"(,"more":1)" : ""));
    more ? set_new_only("doc", doc) : set("doc", doc);
  }
  if (some()) set_new_only("extra", Value::text(fmt::format("x{}", random_.below(100))));
  if (some()) set_new_only("unmapped", any_value());
  if (!new_side_->put(page.new_table, columns).ok()) return false;
  page.book[key] = entry;
  if (is_of_another) {
    page.conflicts.insert(key);
    page.given_away.insert(key);
    // Where the old side has written it in this attempt, it may be known later than this one.
    if (!page.written_old.contains(key)) page.behind.try_emplace(key, behind);
  }
  return true;
}

Value Application::any_value() {
  switch (random_.below(8)) {
    case 0:
      return {};
    case 1:
      return Value::text("");
    case 2:
      return Value::bytes(std::string("\0\xff", 2) + fmt::format("{}", random_.below(100)));
    case 3:
      return Value(Value::Storage(
          Decimal{fmt::format("1234567890123456789012345678901234567{}", random_.below(10))}));
    case 4:
      return Value(Value::Storage(TextSet{{"a", fmt::format("b{}", random_.below(100))}}));
    default:
      return Value::text(fmt::format("v{}", random_.below(1000)));
  }
}

Value Application::any_text() {
  switch (random_.below(5)) {
    case 0:
      return {};
    case 1:
      return Value::text("");
    case 2:
      return Value::text("none");
    default:
      return Value::text(fmt::format("v{}", random_.below(1000)));
  }
}

Value Application::any_number(bool may_be_bad) {
  if (may_be_bad && random_.chance(15)) return Value::text(bad_number);
  return random_.chance(20) ? Value() : Value::text(fmt::format("{}", random_.below(1000)));
}

}  // namespace whimbrel::simulation

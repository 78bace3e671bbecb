// A row in a table, such as a feature flag.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cutover/switches.h"

namespace whimbrel {

namespace {

class RowSwitchOn final : public Switch {
 public:
  explicit RowSwitchOn(const RowSwitch& plan) : plan_(plan) {
    for (const auto& [column, value] : plan.key) columns_.push_back(column);
    for (const auto& [column, value] : plan.set) columns_.push_back(column);
  }

  Result<std::string> found() override {
    ASSIGN_OR_RETURN(const bool table, table_is_there());
    ASSIGN_OR_RETURN(const std::optional<Row> row, read());
    nlohmann::json body = {{"table", table}, {"present", row.has_value()}};
    if (row) {
      for (const auto& [column, value] : plan_.set) {
        body["values"][column] = to_hex(canonical({(*row)[at(column)]}));
      }
    }
    return body.dump();
  }

  Result<SwitchState> state() override {
    ASSIGN_OR_RETURN(const std::optional<Row> row, read());
    if (!row) return SwitchState::off;
    for (const auto& [column, value] : plan_.set) {
      if (!same((*row)[at(column)], value)) return SwitchState::off;
    }
    return SwitchState::on;
  }

  Status flip() override {
    ASSIGN_OR_RETURN(const std::optional<Row> row, read());
    if (!row && !plan_.create) {
      return Error{ErrorCode::not_found,
                   fmt::format("the switch's row is not in {}", plan_.table.name),
                   "insert it, or say `create: true` in the plan"};
    }
    if (plan_.create) TRY(plan_.store->catalog().create(plan_.table, true));
    Row values;
    for (const auto& [column, value] : plan_.set) values.push_back(value);
    return write(std::move(values));
  }

  Status put_back(const std::string& found) override {
    ASSIGN_OR_RETURN(const nlohmann::json body, read_found(found, "present"));
    ASSIGN_OR_RETURN(const bool table, table_is_there());
    if (!table) return {};  // nobody can be told anything by a table that is gone
    if (!body["present"].get<bool>()) {
      TRY(write(std::nullopt));
      if (body.value("table", true)) return {};
      // We made the table; it goes again unless others have put rows into it.
      ASSIGN_OR_RETURN(const auto reader, plan_.store->open_reader(plan_.table));
      ASSIGN_OR_RETURN(const std::int64_t rows, reader->count());
      return rows == 0 ? plan_.store->catalog().drop(plan_.table.name) : Status();
    }
    Row values;
    for (const auto& [column, value] : plan_.set) {
      ASSIGN_OR_RETURN(Row one,
                       row_from_canonical(from_hex(body["values"][column].get<std::string>())));
      values.push_back(std::move(one.at(0)));
    }
    return write(std::move(values));
  }

  bool can_be_told_again() const override { return true; }
  Status go_first(TimePoint until) override {
    return plan_.store->holds().go_first(plan_.table.name, until);
  }
  Status step_aside() override { return plan_.store->holds().step_aside(plan_.table.name); }
  std::string describe() const override {
    std::string text = "row of " + plan_.table.name + " where";
    for (const auto& [column, value] : plan_.key)
      text += fmt::format(" {} = {}", column, spelled_out(value));
    text += ": set";
    for (const auto& [column, value] : plan_.set)
      text += fmt::format(" {} = {}", column, spelled_out(value));
    return text;
  }

 private:
  std::size_t at(const std::string& column) const {
    return static_cast<std::size_t>(plan_.table.column_index(column));
  }
  Row key() const {
    Row key;
    for (const std::string& part : plan_.table.key) {
      for (const auto& [column, value] : plan_.key) {
        if (column == part) key.push_back(value);
      }
    }
    return key;
  }
  Result<bool> table_is_there() {
    const Result<TableSchema> there = plan_.store->catalog().describe(plan_.table.name);
    if (!there.ok() && there.error().code != ErrorCode::not_found) return there.error();
    return there.ok();
  }
  Result<std::optional<Row>> read() {
    ASSIGN_OR_RETURN(const bool table, table_is_there());
    if (!table) return std::optional<Row>{};
    ASSIGN_OR_RETURN(const auto reader, plan_.store->open_reader(plan_.table));
    const std::vector<Row> keys = {key()};
    ASSIGN_OR_RETURN(std::vector<std::optional<Row>> rows, reader->read_keys(keys));
    return std::move(rows.front());
  }
  Status write(std::optional<Row> set_values) {
    ASSIGN_OR_RETURN(const auto writer, plan_.store->open_writer(plan_.table, columns_));
    Change change{key(), std::nullopt};
    if (set_values) {
      Row row;
      for (const auto& [column, value] : plan_.key) row.push_back(value);
      row.insert(row.end(), set_values->begin(), set_values->end());
      change.row = std::move(row);
    }
    const std::vector<Change> changes = {change};
    const Result<Applied> applied = writer->apply(changes);
    return applied.ok() ? Status() : Status(applied.error());
  }

  const RowSwitch& plan_;
  std::vector<std::string> columns_;
};

}  // namespace

std::unique_ptr<Switch> make_row_switch(const RowSwitch& plan) {
  return std::make_unique<RowSwitchOn>(plan);
}

}  // namespace whimbrel

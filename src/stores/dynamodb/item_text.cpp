#include "stores/dynamodb/item_text.h"

#include "stores/dynamodb/item.h"

namespace whimbrel::dynamodb {

namespace {

class ItemText final : public RowText {
 public:
  explicit ItemText(const TableSchema& table)
      : table_(table), columns_(table.column_names()), reader_(table) {}

  std::string format() const override { return "DYNAMODB_JSON"; }
  Result<std::string> line(const Row& row) override {
    ASSIGN_OR_RETURN(const std::string item, item_of(table_, columns_, row));
    return "{\"Item\":" + item + "}";
  }
  Result<Row> row(const std::string& line) override {
    Result<std::optional<Row>> row = reader_.one(line);
    if (!row.ok() || !row.value()) {
      return Error{ErrorCode::data_mismatch, "a line is no item in DynamoDB's JSON"};
    }
    return *std::move(row).value();
  }

 private:
  TableSchema table_;
  std::vector<std::string> columns_;
  ItemReader reader_;
};

}  // namespace

std::unique_ptr<RowText> item_text(const TableSchema& table) {
  return std::make_unique<ItemText>(table);
}

}  // namespace whimbrel::dynamodb
